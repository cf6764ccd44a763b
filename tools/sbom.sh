#!/bin/sh
# Writes what is in images that were built here, as FOLDER/NAME.spdx.json, by syft: sbom.sh FOLDER REGISTRY/NAME:TAG...
set -eu
tools=$(dirname "$0")
target=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$target"
for image; do
    name=${image##*/}
    "$tools/engine.sh" save "$image" "$folder/image.tar"
    SYFT_CHECK_FOR_APP_UPDATE=false "$tools/../.cache/bin/syft" scan --quiet --source-name "$image" \
        --output "spdx-json=$target/${name%%:*}.spdx.json" "docker-archive:$folder/image.tar"
    rm "$folder/image.tar"
done
