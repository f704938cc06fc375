#!/bin/sh
# Builds the library and tries it without Larder. CC and CFLAGS are yours to set.
set -eu
cd "$(dirname "$0")"
CC=${CC:-cc}
CFLAGS="-std=c11 -Wall -Wextra -Wpedantic -Werror ${CFLAGS:--O2 -g}"
# shellcheck disable=SC2086 # the flags are words
$CC $CFLAGS -fPIC -shared -fvisibility=hidden -o LIBRARY acme_demo.c -lpthread
# shellcheck disable=SC2086
$CC $CFLAGS -o test test.c -ldl
./test ./LIBRARY
