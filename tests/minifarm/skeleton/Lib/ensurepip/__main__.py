import ensurepip

ensurepip.main()
