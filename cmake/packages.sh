#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Makes sure that the Debian packages of the named sets are there: installs what is missing as root, else says so.
# Run: sh cmake/packages.sh build demo test lint bench
set -eu

packages_of() {
    case $1 in
    build) echo gcc g++ cmake ninja-build pkg-config libhwloc-dev libdw-dev zlib1g-dev libisal-dev libbz2-dev liblzma-dev liblz4-dev libzstd-dev libblosc-dev libxxhash-dev libssl-dev ;;
    demo) echo zlib1g-dev weather-util-data ;;
    test) echo libgtest-dev clang-14 libclang-rt-14-dev libomp-14-dev clang-format-14 gfortran python3-numpy python3-blosc python3-lz4 python3-zstandard locales libopenblas0-pthread libblis4-pthread python3-xxhash ;;
    lint) echo clang-tidy-14 python3 ;;
    bench) echo libbenchmark-dev libtbb-dev python3-numpy python3-joblib ;;
    *) echo "packages.sh: there is no set '$1'" >&2 && exit 2 ;;
    esac
}

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "not a Debian system: the packages are taken as they are"
    exit 0
fi

missing=""
for set in "$@"; do
    for package in $(packages_of "$set"); do
        status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$status" = installed ] || missing="$missing $package"
    done
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "these packages are missing; please install them: apt-get install$missing" >&2
    exit 1
fi
echo "installing the missing packages:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq </dev/null
# shellcheck disable=SC2086 # a list of names
apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends $missing </dev/null
