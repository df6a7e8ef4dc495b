"""What a project's code may see, use and leave behind on this machine."""
