"""A page on this computer that plays a game: only programs of this computer can reach it.

It listens on the loopback address alone. The page's own requests carry a token that only the page
knows, and requests that a browser makes for pages of other origins, or under other names for this
computer, are refused.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np

from dreamerv2.errors import UsageError
from dreamerv2.play.game import Game, View

LOOPBACK = '127.0.0.1'
NAMES = ('127.0.0.1', 'localhost', '::1')
LARGEST = 4096  # Bytes of a request.
PAGE = Path(__file__).with_name('page.html')
TOKEN = 'X-Play-Token'


class Server:
    """Serves the page and answers what it asks for.

    Args:
        game: what is played.
        port: 0 for a free one.

    Attributes:
        address: of the page.
        token: what the page's own requests carry.

    Raises:
        OSError: the port cannot be used.
    """

    def __init__(self, game: Game, port: int = 0) -> None:
        self.token = secrets.token_urlsafe(16)
        self._game, self._lock = game, threading.Lock()
        self._http = ThreadingHTTPServer((LOOPBACK, port), self._handler())
        self._http.daemon_threads = True
        self.address = f'http://{LOOPBACK}:{self._http.server_address[1]}/'

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Serves until told to stop."""
        thread = threading.Thread(target=self._http.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        while not should_stop():
            thread.join(0.1)
        self._http.shutdown()
        self._http.server_close()
        self._game.close()

    def page(self, nonce: str) -> str:
        """The page, with what it needs to know; script and style carry `nonce`."""
        game = self._game
        facts = {'token': self.token, 'levels': game.levels, 'actions': game.actions}
        text = json.dumps({**facts, 'policy': game.policy}).replace('<', '\\u003c')
        return PAGE.read_text(encoding='utf-8').replace('NONCE', nonce).replace('"FACTS"', text)

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """What the page asks for: `{"do": "step", "action": null}`.

        Raises:
            UsageError: something else.
        """
        game, action = self._game, question.get('action')
        does: dict[Any, Callable[[], View]] = {
            'look': lambda: game.now,
            'begin': lambda: game.begin(question.get('level')),
            'step': lambda: game.step(action),
            'dream': lambda: game.dream(action),
            'wake': game.wake,
        }
        what = question.get('do')
        if not isinstance(what, str) or what not in does:
            raise UsageError(f'expected one of {", ".join(does)}')
        with self._lock:
            return as_json(does[what]())

    def refuses(self, host: str, origin: str | None, token: str | None = None) -> str:
        """Why a request is refused, or ''.

        Args:
            host: for which it is.
            origin: of the page that makes it, where the browser says so.
            token: what it carries; None for the page itself, which carries none.
        """
        try:
            name = urlsplit(f'//{host}').hostname
        except ValueError:
            name = None
        if name not in NAMES:
            return f'this page is only at {self.address}'
        if origin is not None and origin != f'http://{host}':
            return 'another page may not ask'
        if token is not None and not hmac.compare_digest(token.encode(), self.token.encode()):
            return 'load the page again: it belongs to an earlier start'
        return ''

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 30

            def do_GET(self) -> None:
                why = server.refuses(self.headers.get('Host', ''), self.headers.get('Origin'))
                if why:
                    self._send(HTTPStatus.FORBIDDEN, why)
                elif self.path != '/':
                    self._send(HTTPStatus.NOT_FOUND, 'there is one page, /')
                else:
                    nonce = secrets.token_urlsafe(12)
                    policy = (
                        f"default-src 'none'; img-src data:; connect-src 'self'; "
                        f"script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
                        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
                    )
                    self._send(HTTPStatus.OK, server.page(nonce), 'text/html', policy)

            def do_POST(self) -> None:
                headers = self.headers
                token = headers.get(TOKEN, '')
                why = server.refuses(headers.get('Host', ''), headers.get('Origin'), token)
                if why:
                    return self._send(HTTPStatus.FORBIDDEN, why)
                size = headers.get('Content-Length', '')
                if not size.isdecimal() or int(size) > LARGEST:
                    return self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 'too large')
                try:
                    question = json.loads(self.rfile.read(int(size)))
                    if not isinstance(question, dict):
                        raise ValueError('not an object')
                    answer = server.answer(question)
                except (UsageError, ValueError, RecursionError) as error:
                    return self._send(HTTPStatus.BAD_REQUEST, str(error))
                return self._send(HTTPStatus.OK, json.dumps(answer), 'application/json')

            def _send(
                self, status: HTTPStatus, text: str, kind: str = 'text/plain', policy: str = ''
            ) -> None:
                content = text.encode()
                self.send_response(status)
                self.send_header('Content-Type', f'{kind}; charset=utf-8')
                self.send_header('Content-Length', str(len(content)))
                self.send_header('Cache-Control', 'no-store')
                self.send_header('X-Content-Type-Options', 'nosniff')
                if policy:
                    self.send_header('Content-Security-Policy', policy)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the terminal belongs to the command."""

        return Handler


def as_json(view: View) -> dict[str, Any]:
    """A view for the page, pictures as addresses that hold them."""
    return {
        name: _address(value) if isinstance(value, np.ndarray) else value
        for name, value in vars(view).items()
    }


def _address(picture: np.ndarray) -> str:
    done, png = cv2.imencode('.png', np.ascontiguousarray(picture[..., ::-1]))
    assert done
    return f'data:image/png;base64,{base64.b64encode(png.tobytes()).decode()}'
