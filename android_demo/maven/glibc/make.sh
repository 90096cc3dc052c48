#!/usr/bin/env bash
# For tests only: builds Android's libc.so, libm.so, libdl.so and liblog.so as thin wrappers around glibc, so that the x86_64
# library in TensorFlow Lite's AAR runs unmodified on Debian, called by the app's own code.
#
#   make.sh libtensorflowlite_jni.so FOLDER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
library=$1
mkdir -p "$2"
cd "$2"
if [ libc.so -nt "$library" ] && [ libc.so -nt "$here/libc.c" ] && [ libc.so -nt "$here/make.sh" ]; then exit; fi

# Functions that libc.c implements, because Android's differ from glibc's.
own=$(sed -nE 's/^BIONIC\([^,]+, (\w+),.*/\1/p' "$here/libc.c"; echo __sF)
# All other libc functions that the library uses are forwarded to the glibc function of the same name.
nm -D --undefined-only "$library" | awk '{print $2}' | sed -n 's/@LIBC.*//p' | sort -u | grep -vxF "$own" > forwarded.txt

awk '
  BEGIN { print ".text" }
  { print ".globl " $1 "; .type " $1 ",@function; " $1 ": jmp *forwarded+" 8 * (NR - 1) "(%rip)" }
  END {
    print ".bss; .balign 8; .globl forwarded; .hidden forwarded; forwarded: .skip " 8 * (NR + 1)
    print ".section .note.GNU-stack,\"\",@progbits"
  }' forwarded.txt > jumps.S
{ echo 'const char *forwarded_names[] = {'; sed 's/.*/  "&",/' forwarded.txt; echo '  0};'; } > names.c
echo 'LIBC { global: *; };' > versions.map

shared=(gcc -O1 -shared -fPIC -fno-builtin -fno-stack-protector -Wl,--version-script=versions.map)
echo 'int nothing;' > empty.c
for name in m dl log; do "${shared[@]}" -Wl,-soname,lib$name.so -o lib$name.so empty.c; done
"${shared[@]}" -Wl,-soname,libc.so -o libc.so jumps.S names.c "$here/libc.c" -ldl
