#!/bin/sh
# Brings images to the nodes of the kind cluster KIND_CLUSTER_NAME; `kind load docker-image` knows only those that Docker built.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for image; do
    "$(dirname "$0")/engine.sh" save "$image" "$folder/image.tar"
    kind load image-archive "$folder/image.tar"
    rm "$folder/image.tar"
done
