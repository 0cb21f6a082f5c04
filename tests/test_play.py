"""Watching an agent: what the page is told, what it may ask, and who is refused."""

import base64
import http.client
import json
import shutil
import subprocess
import threading

import imageio.v2 as imageio
import numpy as np
import pytest

import dreamerv2.api as dv2
from dreamerv2.errors import UsageError
from dreamerv2.play.__main__ import main
from dreamerv2.play.game import Game, picture
from dreamerv2.play.server import PAGE, TOKEN, Server


@pytest.fixture(scope='module')
def game(mario_run):
    game = Game(dv2.load(mario_run), None)
    yield game
    game.close()


@pytest.fixture
def server(mario_run):
    """A server that is running."""
    server, over = Server(Game(dv2.load(mario_run), 'mario_1-2')), threading.Event()
    thread = threading.Thread(target=server.run, args=(over.is_set,))
    thread.start()
    yield server
    over.set()
    thread.join()


def ask(server, method='POST', body=None, **headers):
    """Status, headers and content of a request, as the page's own unless told otherwise."""
    port = int(server.address.rstrip('/').rpartition(':')[2])
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    own = {'Host': f'127.0.0.1:{port}', TOKEN: server.token} | headers
    connection.putrequest(method, own.pop('path', '/'), skip_host=True)
    content = json.dumps(body).encode() if not isinstance(body, bytes) else body
    for name, value in own.items():
        connection.putheader(name, value)
    if method == 'POST' and 'Content-Length' not in own:
        connection.putheader('Content-Length', str(len(content)))
    connection.endheaders(content if method == 'POST' else None)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read().decode()
    connection.close()
    return found


def test_every_step_shows_all_there_is(game):
    view = game.begin('1-1')
    assert (view.level, view.steps, view.total, view.over, view.dreamt) == ('1-1', 0, 0, False, 0)
    assert view.screen.shape == (240, 256, 3)
    assert view.seen.shape == view.drawn.shape == (64, 64, 3)
    assert len(view.policy) == 12 and sum(view.policy) == pytest.approx(1, abs=1e-4)
    assert 0 <= view.end <= 1 and 0 <= view.chosen < 12
    assert game.actions[:3] == ['NOOP', 'right', 'right+A'] and len(game.levels) == 32
    total, steps = 0.0, 0
    while not view.over:
        view = game.step()
        steps += 1
        assert view.steps == steps
    assert steps == 10 and view.progress >= 0 and not view.completed
    assert game.step().steps == 0  # A new episode.
    assert '1-1: return' in game.now.summary and total == 0
    assert picture(view).shape[1] >= 3 * 240


def test_another_level_may_be_played(game):
    assert game.begin('1-4').level == '1-4'
    assert game.step().level == '1-4' and game.begin().level == '1-4'
    with pytest.raises(UsageError, match="level '9-1': expected one of 1-1, "):
        game.begin('9-1')


def test_a_person_may_play(game):
    """Pressing right moves Mario to the right, whatever the agent had chosen."""
    game.begin('1-1')
    views = [game.step(1) for _ in range(8)]
    assert views[-1].progress > 0.01 and views[-1].total > 20
    assert game._state.action.sum() == 1
    for wrong in (12, -1, 'right', 1.0):
        with pytest.raises(UsageError, match='expected 0 to 11'):
            game.step(wrong)


def test_a_dream_leaves_the_game_where_it_was(game):
    game.begin('1-1')
    awake = game.step()
    state = game._state
    dreamt = [game.dream() for _ in range(3)]
    assert [view.dreamt for view in dreamt] == [1, 2, 3]
    assert all(view.seen is None and view.steps == 1 and view.chosen is None for view in dreamt)
    assert any((view.drawn != awake.drawn).any() for view in dreamt)
    assert game.dream(3).dreamt == 4
    assert game.wake() is awake and game._state is state
    game.dream()
    assert game.step().steps == 2 and game.now.dreamt == 0


def test_the_page_plays(server):
    status, headers, page = ask(server, 'GET')
    assert status == 200 and server.token in page and '"1-2"' in page and 'right+A' in page
    assert "default-src 'none'" in headers['Content-Security-Policy'] and 'NONCE' not in page
    assert headers['Cache-Control'] == 'no-store'
    status, headers, text = ask(server, body={'do': 'step', 'action': 1})
    view = json.loads(text)
    assert status == 200 and view['steps'] == 1 and view['level'] == '1-2'
    image = imageio.imread(base64.b64decode(view['screen'].partition(',')[2]))
    assert image.shape == (240, 256, 3)
    for what in ('dream', 'wake', 'look', 'begin'):
        assert ask(server, body={'do': what})[0] == 200


@pytest.mark.parametrize(
    ('headers', 'body', 'status'),
    [
        ({'Host': 'evil.example:80'}, {'do': 'step'}, 403),
        ({'Host': 'localhost.evil.example'}, {'do': 'step'}, 403),
        ({'Host': ''}, {'do': 'step'}, 403),
        ({'Host': '[::1'}, {'do': 'step'}, 403),
        ({'Origin': 'http://evil.example'}, {'do': 'step'}, 403),
        ({'Origin': 'null'}, {'do': 'step'}, 403),
        ({TOKEN: 'guess'}, {'do': 'step'}, 403),
        ({TOKEN: ''}, {'do': 'step'}, 403),
        ({}, {'do': 'run'}, 400),
        ({}, {'do': ['step']}, 400),
        ({}, {'do': 'step', 'action': 99}, 400),
        ({}, {'do': 'begin', 'level': ['1-1']}, 400),
        ({}, ['step'], 400),
        ({}, b'{', 400),
        ({}, b'[' * 4000, 400),
        ({}, b'\xff\xfe', 400),
        ({'Content-Length': '99999'}, b'', 413),
        ({'Content-Length': 'x'}, b'', 413),
    ],
)  # fmt: skip
def test_what_is_not_the_pages_own_is_refused(server, headers, body, status):
    assert ask(server, body=body, **headers)[0] == status
    assert server._game.now.steps == 0


def test_the_page_itself_is_not_for_others(server):
    for headers in ({'Host': 'evil.example'}, {'Origin': 'http://evil.example'}):
        status, _, text = ask(server, 'GET', **headers)
        assert status == 403 and server.token not in text
    assert ask(server, 'GET', path='/../game.py')[0] == 404
    assert ask(server, 'GET', Host='localhost:9999')[0] == 200  # Through a tunnel.


def test_it_listens_on_this_computer_alone(server):
    assert server._http.server_address[0] == '127.0.0.1'


def test_the_page_loads_nothing_from_elsewhere():
    text = PAGE.read_text()
    assert '://' not in text and 'src=' not in text.replace('.src = ', '')


def browse(server, folder):
    """What the page holds after its script, and what is added to it, have run for some seconds."""
    command = ['chromium', '--headless', '--no-sandbox', '--disable-gpu', '--dump-dom']
    command += [f'--user-data-dir={folder}', '--virtual-time-budget=2500', server.address]
    made = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert 'id="screen" alt="The game" src="data:image/png' in made.stdout, made.stderr
    return made.stdout


def clicking(monkeypatch, server, button):
    """Lets the page click a button once it has its first view."""
    page = server.page
    script = f"<script nonce='NONCE'>setTimeout(() => part('{button}').click(), 1000)</script>"
    monkeypatch.setattr(server, 'page', lambda nonce: page(nonce) + script.replace('NONCE', nonce))


needs_browser = pytest.mark.skipif(not shutil.which('chromium'), reason='no Chromium here')


@needs_browser
def test_a_browser_shows_it(server, tmp_path):
    dom = browse(server, tmp_path)
    assert dom.count('<li>') + dom.count('<li ') == 12 and 'right+A' in dom
    assert '<option value="8-4">' in dom and 'alt="What the agent sees" src="data:' in dom
    assert server._game.now.steps == 0


@needs_browser
@pytest.mark.parametrize('button', ['run', 'self', 'dream'])
def test_a_button_sets_it_going(server, tmp_path, monkeypatch, button):
    clicking(monkeypatch, server, button)
    dom = browse(server, tmp_path)
    went = server._game.now.dreamt if button == 'dream' else server._game.now.steps
    assert went > 1
    if button == 'dream':  # Nothing is seen, so no picture of it is left broken.
        assert 'alt="What the agent sees">' in dom and 'steps imagined, nothing seen' in dom


def test_a_video_needs_no_browser(mario_run, tmp_path, capsys):
    file = tmp_path / 'play.mp4'
    assert main([str(mario_run), '--video', str(file), '--task', 'mario_1-2']) == 0
    assert '1-2: return' in capsys.readouterr().out
    frames = imageio.mimread(file)
    assert len(frames) == 11 and np.ptp(frames[-1]) > 100


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--task', 'mario_9-1'], '9-1'),
        (['--task', 'pixel'], 'cannot play it'),
        (['--task', 'atari_pong'], 'cannot play it'),
        (['--port', '99999'], '--port'),
        (['--video', 'play.avi'], 'ends in .mp4 or .gif'),
        (['--step', '1'], 'no checkpoint at step 1'),
        (['--policy', 'best'], 'invalid choice'),
    ],
)
def test_mistakes_are_one_line(mario_run, flags, message, capsys):
    assert main([str(mario_run), *flags]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count('\n') == 1
