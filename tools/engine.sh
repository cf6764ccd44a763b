#!/bin/sh
# What builds images here, and an image as a file whichever it is.
#
#   engine.sh                     prints docker, podman or buildah: ENGINE, else the first that works
#   engine.sh save IMAGE FILE     writes a docker-archive
set -eu

find_engine() {
    for engine in ${ENGINE:-docker podman buildah}; do
        command -v "$engine" >/dev/null 2>&1 || continue
        [ "$engine" != docker ] || { docker info && docker buildx version; } >/dev/null 2>&1 || continue
        echo "$engine"
        return
    done
    echo "no image can be built: install docker with buildx (and start it), podman or buildah; or name one by ENGINE=" >&2
    exit 1
}

engine=$(find_engine)
case ${1:-} in
save)
    if [ "$engine" = buildah ]; then
        buildah push --quiet "$2" "docker-archive:$3:$2"
    else
        "$engine" save --output "$3" "$2"
    fi
    ;;
*) echo "$engine" ;;
esac
