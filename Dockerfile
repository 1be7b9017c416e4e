# syntax=docker/dockerfile:1
# Both processes of the operator in one image: `docker build -t execution-options .`
# Everything but the base image is pinned by hashes; pin that, too, where builds have to be repeatable to the bit, and
# have the builder set the times of files:
#   buildah bud --timestamp 0 --build-arg PYTHON=docker.io/library/python:3.13-slim-trixie@sha256:… .
ARG PYTHON=python:3.13-slim-trixie

FROM ${PYTHON} AS build
# The time in archives, which would else be that of the build.
ENV SOURCE_DATE_EPOCH=315532800 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /build && python -m venv --without-pip /opt/execution-options
COPY requirements.lock requirements-build.lock /source/
RUN /build/bin/pip install --require-hashes -r /source/requirements-build.lock \
 && /build/bin/pip --python /opt/execution-options/bin/python install --no-compile --require-hashes \
      --only-binary :all: -r /source/requirements.lock
COPY pyproject.toml README.md LICENSE /source/
# Without the embedded control plane, which .dockerignore leaves out.
COPY operator /source/operator
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /build/wheels /source \
 && /build/bin/pip --python /opt/execution-options/bin/python install --no-compile --no-deps /build/wheels/*.whl \
    # Bytecode that depends on the sources alone: the root file system is read-only at run time. In a pod little of
    # the official client is imported, whose bytecode would be a third of the image.
 && python -m compileall -q -f --invalidation-mode unchecked-hash -x '/site-packages/kubernetes/' \
      /opt/execution-options/lib

FROM ${PYTHON}
LABEL org.opencontainers.image.title="execution-options" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/execution-options /opt/execution-options
ENV PATH=/opt/execution-options/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, so that runAsNonRoot can be verified.
USER 65532:65532
EXPOSE 9443 8081 8082
ENTRYPOINT ["execution-options"]
