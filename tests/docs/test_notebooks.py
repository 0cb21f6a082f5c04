"""The notebooks run from the first cell to the last, with fewer steps and smaller networks."""

import json
import pathlib

import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = "'dataset': {'batch': 2, 'length': 8}, '.*cnn_depth$': 4"
BUDGETS = {
    "'steps': 2000": "'steps': 350",
    "'steps': 1400": "'steps': 300",
    "'prefill': 1000": "'prefill': 200",
    "'time_limit': 500": f"'time_limit': 150, {SMALL}",
    "'time_limit': 300": f"'time_limit': 150, {SMALL}",
}
NOTEBOOKS = sorted((ROOT / 'docs' / 'notebooks').glob('*.ipynb'))


def kinds(cell):
    """What a cell shows: pictures and results by their types, and what it prints."""
    shown = [output for output in cell.get('outputs', []) if output.get('name') != 'stderr']
    return {key for output in shown for key in output.get('data', {output.get('name'): ''})}


def execute(folder, budgets, timeout=500):
    """The notebooks, executed in one folder: later ones use what the first one trains.

    Args:
        budgets: what is replaced in their cells, by what.
        timeout: seconds for a cell.
    """
    local = Config()
    local.KernelManager.transport = 'ipc'  # Nothing listens on the network.
    local.KernelManager.ip = str(folder / 'kernel')
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('PYTHONPATH', str(ROOT))
        for path in NOTEBOOKS:
            notebook = nbformat.read(path, 4)
            for said, short in budgets.items():
                for cell in notebook.cells:
                    cell.source = cell.source.replace(said, short)
            place = {'metadata': {'path': str(folder)}}
            NotebookClient(notebook, config=local, timeout=timeout, resources=place).execute()
            found[path] = notebook
    return found


@pytest.fixture(scope='module')
def executed(tmp_path_factory):
    text = ''.join(path.read_text() for path in NOTEBOOKS)
    assert all(said in text for said in BUDGETS)
    return execute(tmp_path_factory.mktemp('notebooks'), BUDGETS)


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_it_shows_what_is_stored_in_it(executed, path):
    stored, now = json.loads(path.read_text())['cells'], executed[path]['cells']
    assert [kinds(cell) for cell in stored] == [kinds(cell) for cell in now]
    assert sum(len(kinds(cell)) for cell in stored) >= 2
    assert path.stat().st_size < 300_000
    assert str(pathlib.Path.home()) not in path.read_text()
