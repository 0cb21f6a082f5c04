"""Package, dependencies and console scripts. Exact versions for development: requirements.lock."""

import pathlib
import re
import shutil

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = pathlib.Path(__file__).resolve().parent


class BuildWithConfigs(build_py):
    """Puts configs.yaml, which stands at the repository's root, into the built package."""

    def run(self):
        super().run()
        if not self.editable_mode:
            target = pathlib.Path(self.build_lib) / 'dreamerv2' / 'configs.yaml'
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / 'configs.yaml', target)


def version():
    text = (ROOT / 'dreamerv2' / '__init__.py').read_text(encoding='utf-8')
    return re.search(r"__version__ = '([^']+)'", text).group(1)


def description():
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.exists() else ''


setup(
    name='dreamerv2-mario',
    version=version(),
    description='DreamerV2 in TensorFlow 2 for multi-task world models on Super Mario Bros levels',
    long_description=description(),
    long_description_content_type='text/markdown',
    author='The DreamerV2 Mario authors',
    license='MIT',
    python_requires='>=3.10,<3.13',
    packages=find_packages(include=['dreamerv2', 'dreamerv2.*']),
    package_data={
        'dreamerv2.analysis': ['random_policy.json'],
        'dreamerv2.analysis.report': ['report.html', 'style.css'],
        'dreamerv2.play': ['page.html'],
    },
    cmdclass={'build_py': BuildWithConfigs},
    install_requires=[
        'tensorflow>=2.21,<2.22',
        'tensorflow-probability>=0.25,<0.26',
        'tf-keras>=2.21,<2.22',
        'numpy>=1.26,<2',
        'scipy>=1.11',
        'gym==0.26.2',
        'gymnasium>=1.0,<1.3',
        'gym-super-mario-bros==7.4.0',
        'nes-py==8.2.1',
        'opencv-python-headless>=4.11,<4.12',
        'packaging>=23',
        'rich>=13',
        'ruamel.yaml>=0.18',
        'matplotlib>=3.8',
        'jinja2>=3.1',
        'tensorboard>=2.20,<2.22',
        'safetensors>=0.4',
        'lz4>=4.3',
        'tqdm>=4.66',
        'imageio>=2.31',
        'imageio-ffmpeg>=0.5',
    ],
    extras_require={
        'gpu': ['tensorflow[and-cuda]>=2.21,<2.22'],
        'atari': ['ale-py>=0.12,<0.13'],
        'peers': ['stable-baselines3>=2.4'],
        'wandb': ['wandb>=0.31'],
        'mlflow': ['mlflow-skinny>=3.17,<4'],
        'cluster': ['ray>=2.40', 'submitit>=1.5'],
        'search': ['optuna>=5,<6'],
        'docs': ['mkdocs-material>=9.7'],
        'dev': [
            'pytest>=8',
            'pytest-xdist>=3',
            'hypothesis>=6',
            'ruff>=0.12',
            'mypy>=1.15',
            'import-linter>=2',
            'optuna>=5,<6',
            'mkdocs-material>=9.7',
            'nbclient>=0.10',
            'ipykernel>=6',
            'wandb>=0.31',
            'mlflow-skinny>=3.17,<4',
        ],
    },
    entry_points={
        'console_scripts': [
            'dreamerv2-train = dreamerv2.train:main',
            'dreamerv2-evaluate = dreamerv2.evaluate:main',
            'dreamerv2-doctor = dreamerv2.doctor.__main__:main',
            'dreamerv2-play = dreamerv2.play.__main__:main',
            'dreamerv2-zoo = dreamerv2.zoo:main',
        ]
    },
    classifiers=[
        'License :: OSI Approved :: MIT License',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
