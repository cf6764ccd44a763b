#!/bin/sh
# Builds the images that are named (odp-loader odp-dask-operator odp-server; for tests dask-operator versitygw).
#
#   ENGINE=docker|podman|buildah    default: the first that works
#   REGISTRY=localhost TAG=dev      what the images are called: REGISTRY/NAME:TAG
#   PYTHON_IMAGE=                   another base than the Dockerfiles'
#   SOURCE=                         the repository's address, for the label
#   BUILD_FLAGS=                    more flags for the engine's build command; behind a proxy with a CA of its own, for podman and buildah:
#                                   --volume=/etc/ssl/certs:/etc/ssl/certs:ro
#   SOURCE_DATE_EPOCH=              the time of all files and of the image; the commit's own is in a label
#
# The same commit and base make the same image. The time is 1980 always, so that the layer of an unchanged lock stays the same
# from release to release, and nodes that have it need not pull it again.
set -eu
cd "$(dirname "$0")/.."

ENGINE=$(tools/engine.sh)

dockerfile() {
    case $1 in
    odp-loader) echo images/loader/Dockerfile ;;
    odp-dask-operator) echo images/operator/Dockerfile ;;
    odp-server) echo images/odp-server/Dockerfile ;;
    dask-operator | versitygw) echo "tests/e2e/images/$1/Dockerfile" ;;
    *) echo "there is no image $1" >&2 && exit 1 ;;
    esac
}

epoch=${SOURCE_DATE_EPOCH:-315532800}
# Nothing is known of the commit where this is no clone.
created=$(TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ 2>/dev/null || echo unknown)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)

for name; do
    file=$(dockerfile "$name")
    image=${REGISTRY:-localhost}/$name:${TAG:-dev}
    set -- --file "$file" --tag "$image" \
        --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "CREATED=$created" \
        --build-arg "SOURCE=${SOURCE:-https://github.com/hubocean/odp-dask-operator}"
    [ -z "${PYTHON_IMAGE:-}" ] || set -- "$@" --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE"
    case $ENGINE in
    docker) set -- docker buildx build --build-arg "SOURCE_DATE_EPOCH=$epoch" --output "type=docker,rewrite-timestamp=true" "$@" ;;
    *) set -- "$ENGINE" build --layers --timestamp "$epoch" "$@" ;;
    esac
    if [ "$name" = versitygw ]; then
        CGO_ENABLED=0 GOOS=linux go build -C tools/versitygw -trimpath -ldflags='-s -w' -o ../../.cache/images/ github.com/versity/versitygw/cmd/versitygw
    fi
    # shellcheck disable=SC2086 # flags are words
    "$@" ${BUILD_FLAGS:-} .
    echo "$image"
done
