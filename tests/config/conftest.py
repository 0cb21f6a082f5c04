"""What the tests of the configuration share."""

import pytest

from dreamerv2.config import load_config
from dreamerv2.config.files import default_file
from dreamerv2.errors import UsageError


@pytest.fixture
def error_of():
    """Gives the message with which a command line is refused, which is one line."""

    def refuse(argv, **options):
        with pytest.raises(UsageError) as caught:
            load_config(argv, **options)
        message = str(caught.value)
        assert len(message.splitlines()) == 1 and message.isprintable()
        return message

    return refuse


@pytest.fixture
def presets(tmp_path):
    """Writes a file with the package's presets and those of a text; gives path and first line."""

    def write(text):
        path = tmp_path / 'configs.yaml'
        shipped = default_file().read_text()
        path.write_text(f'{shipped}\n{text}')
        return path, shipped.count('\n') + 2

    return write
