from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
SUITE = """
    import pytest

    @pytest.mark.skip(reason="not today")
    def test_listed(): pass

    def test_unlisted():
        pytest.skip("no chromium here")

    @pytest.mark.xfail(reason="known")
    def test_expected(): assert False

    def test_passes(): pass
"""
LISTED = '[[skip]]\ntest = "test_it.py::test_l*"\nreason = "because it is an example"\n'


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("PYBOTS_STRICT_SKIPS", "1")
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makefile(".toml", skips=LISTED)
    return pytester


def test_an_unlisted_skip_fails_and_says_why(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_it=SUITE)
    result = suite.runpytest_inprocess("-rs")
    result.assert_outcomes(passed=1, skipped=1, xfailed=1, failed=1)
    result.stdout.fnmatch_lines(["*no chromium here*", "*Not listed in tests/skips.toml*"])


def test_a_module_that_skips_itself_fails(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_it="import pytest\npytest.importorskip('no_such_module')\n")
    assert suite.runpytest_inprocess().ret != 0


def test_a_listed_module_may_skip_itself(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_it="import pytest\npytest.importorskip('no_such_module')\n", test_b="def test(): pass"
    )
    suite.makefile(".toml", skips='[[skip]]\ntest = "test_it.py"\nreason = "because it is an example"\n')
    assert suite.runpytest_inprocess().ret == 0


def test_elsewhere_a_skip_is_a_skip(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYBOTS_STRICT_SKIPS")
    suite.makepyfile(test_it=SUITE)
    suite.runpytest_inprocess().assert_outcomes(passed=1, skipped=2, xfailed=1)


def test_in_ci_it_is_strict(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYBOTS_STRICT_SKIPS")
    monkeypatch.setenv("CI", "true")
    suite.makepyfile(test_it=SUITE)
    suite.runpytest_inprocess().assert_outcomes(passed=1, skipped=1, xfailed=1, failed=1)


@pytest.mark.parametrize(
    "text", ["[[skip]]\ntest = 'a'\n", "skip = 1\n", "[[skip]]\ntest = 'a'\nreason = 'no'\n", "["]
)
def test_a_list_without_reasons_is_refused(suite: pytest.Pytester, text: str) -> None:
    suite.makefile(".toml", skips=text)
    suite.makepyfile(test_it=SUITE)
    result = suite.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*skips.toml*"])
