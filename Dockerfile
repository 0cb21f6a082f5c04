# Everything that scripts/setup.sh installs, and this repository; docs/platforms.md has the commands.
FROM python:3.11-slim AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
# Only what the set-up reads, so that a change of the code does not install everything again.
COPY setup.py pyproject.toml requirements.lock requirements-gpu.lock ./
COPY scripts/setup.sh scripts/build_emulator.py scripts/emulator_run.cpp \
    scripts/emulator_workload.py scripts/
COPY dreamerv2/__init__.py dreamerv2/
# 1: with CUDA.
ARG GPU=0
RUN GPU=$GPU scripts/setup.sh
# Here, because the image's user may not write there; some packages hold files for other Pythons.
RUN .venv/bin/python -m compileall -q -j 0 .venv/lib || true

FROM python:3.11-slim
RUN useradd --create-home --uid 1000 agent
WORKDIR /app
COPY --from=build /app .
COPY . .
ENV PATH=/app/.venv/bin:$PATH
USER 1000
CMD ["dreamerv2-train", "--help"]
