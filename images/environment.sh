#!/bin/sh
# What the Dockerfiles have in common: a virtual environment, /opt/odp, that comes out the same to the last byte each time.
#
#   environment.sh base USER ID         name the user, compile the standard library
#   environment.sh lock FILE [WHAT...]  make the environment from a hash-pinned lock, without these files of site-packages
#   environment.sh projects FOLDER...   put projects of this repository, as wheels, into /own, to be copied over the environment
#   environment.sh package FOLDER       put a package that is no project there
#
# Bytecode is compiled here because the root of a container is read-only. It holds neither a time nor anything random, and
# Python takes it unchecked, as the files beside it never change.
set -eu
python=/opt/odp/bin/python
export PYTHONHASHSEED=0 SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-315532800}" PIP_DISABLE_PIP_VERSION_CHECK=1

compile() { # compile PYTHON FOLDER LATER-FOLDER [NOT-THESE]
    "$1" -m compileall -q --invalidation-mode unchecked-hash -x "/(${4:-test})/" -s "$2" -p "$3" "$2"
}

install() { # install PYTHON WHAT...
    target=$1
    shift
    pip --quiet --python "$target" install --no-compile --no-deps --only-binary :all: --root-user-action ignore "$@"
}

site_packages() {
    $python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
}

base() {
    echo "$1:x:$2:$2::/tmp:/usr/sbin/nologin" >>/etc/passwd # libraries ask who runs them
    echo "$1:x:$2:" >>/etc/group
    library=$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
    compile python "$library" "$library" 'site-packages|dist-packages|ensurepip|idlelib|lib2to3|test|tkinter|turtledemo'
}

lock() {
    python -m venv --without-pip /opt/odp
    install $python --require-hashes -r "$1"
    shift
    (
        cd "$(site_packages)"
        # shellcheck disable=SC2068 # these are patterns
        rm -rf $@ tornado/test pyarrow/include bokeh/server/static/lib
        find . -depth -type d -name tests -exec rm -rf {} +
        # Nothing is compiled or type-checked in a container.
        find . -type f \( -name '*.py[xi]' -o -name '*.px[di]' -o -name '*.[ach]' -o -name '*.cc' \) -delete
        find . -path '*/bokeh/server/static/js/*.js' ! -name '*.min.js' -delete # browsers get the others
    )
    compile $python /opt/odp /opt/odp
}

projects() {
    python -m venv --without-pip /tmp/build
    install /tmp/build/bin/python --require-hashes -r images/build.lock
    for project; do
        (cd "$project" && /tmp/build/bin/python -m hatchling build -t wheel -d /tmp/wheels)
    done
    install $python --no-index --prefix /own /tmp/wheels/*.whl
    compile $python /own /opt/odp
}

package() {
    folder=/own$(site_packages | sed 's#^/opt/odp##')
    mkdir -p "$folder"
    cp -r "$1" "$folder"
    compile $python /own /opt/odp
}

"$@"
