"""The check of a report, with a browser that is only pretended."""

import os
import subprocess

import pytest

BROWSER = """#!/usr/bin/env bash
for argument in "$@"; do
    case "$argument" in
        --blink-settings=*=0) dark=true ;;
        --screenshot=*) echo picture >"${argument#*=}"; exit 0 ;;
    esac
done
echo "$LOG" >&2
# The last argument is .../frame_WIDTH_look.html.
width="${argument##*/frame_}"
width="${WIDTH:-${width%%_*}}"
text='{"width":WIDTH,"height":99999,"dark":DARK,"found":[FOUND]}'
text="${text/WIDTH/$width}"
text="${text/DARK/${dark:-false}}"
echo "<pre>LOOKED ${text/FOUND/$FOUND} END</pre>"
"""


@pytest.fixture
def check(repository, tmp_path):
    browser = tmp_path / 'browser'
    browser.write_text(BROWSER)
    browser.chmod(0o755)
    page = tmp_path / 'some where' / 'report.html'
    page.parent.mkdir()
    page.write_text('<p>x</p>')

    def run(*arguments, **environment):
        done = subprocess.run(
            ['bash', repository / 'scripts' / 'check_report.sh', *(arguments or (page,))],
            capture_output=True,
            text=True,
            env={'PATH': os.environ['PATH'], 'CHROMIUM': str(browser), **environment},
        )
        return done.returncode, done.stdout, done.stderr

    return run


def test_four_screenshots_and_a_line_that_all_is_well(check, tmp_path):
    folder = tmp_path / 'some where' / 'report_check'
    code, out, err = check()
    assert (code, err) == (0, '')
    names = ['desktop_light', 'desktop_dark', 'phone_light', 'phone_dark']
    assert out.splitlines()[:4] == [f'{folder}/{name}.png' for name in names]
    assert {path.name for path in folder.iterdir()} == {f'{name}.png' for name in names}


@pytest.mark.parametrize(
    ('environment', 'words'),
    [
        ({'FOUND': '"picture does not load: figure5"'}, 'picture does not load: figure5'),
        ({'LOG': '[1:2:INFO:CONSOLE(3)] "broken"'}, 'console: [1:2:INFO:CONSOLE(3)] "broken"'),
        ({'WIDTH': '500'}, 'phone_light: opened at another width than 390'),
    ],
)
def test_what_is_wrong_is_said(check, environment, words):
    code, out, err = check(**environment)
    assert code == 1 and words in err and 'all is well' not in out


def test_a_browser_that_fails(check, tmp_path):
    broken = tmp_path / 'broken'
    broken.write_text('#!/usr/bin/env bash\necho no display >&2\nexit 3\n')
    broken.chmod(0o755)
    code, _, err = check(CHROMIUM=str(broken))
    assert code == 1 and 'desktop_light: Chromium failed: no display' in err


def test_without_chromium_or_file_one_line_and_exit_code_2(check, tmp_path):
    tools = tmp_path / 'tools'
    tools.mkdir()
    for name in ('bash', 'dirname'):
        found = next(
            path
            for folder in os.environ['PATH'].split(':')
            if os.path.exists(path := os.path.join(folder, name))
        )
        (tools / name).symlink_to(found)
    code, _, err = check(CHROMIUM='', PATH=str(tools))
    assert code == 2 and err.count('\n') == 1 and 'apt-get install chromium' in err
    code, _, err = check(str(tmp_path / 'none.html'))
    assert code == 2 and err.count('\n') == 1 and 'no such file' in err
    code, _, err = check('')
    assert code == 2 and err.count('\n') == 1
