/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* machine - this machine's name in images: Go's GOARCH, as image-spec's config.md asks for */

#if defined(__x86_64__)
#define MACHINE "amd64"
#elif defined(__aarch64__)
#define MACHINE "arm64"
#elif defined(__riscv) && __riscv_xlen == 64
#define MACHINE "riscv64"
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define MACHINE "ppc64le"
#elif defined(__s390x__)
#define MACHINE "s390x"
#else
#define MACHINE "unknown"
#endif
