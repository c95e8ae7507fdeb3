/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vm_names - a name server that listens on the loopback of the container's network namespace, for the guest
 *
 * Docker puts one at 127.0.0.11 into the namespace of each container on a network with names. The guest has a loopback
 * of its own; its questions are passed on through the machine (vm/session).
 */

#include <stdint.h>

#include "spec/base/buf.h"
#include "spec/spec.h"

/*
 * The first loopback address that a resolv.conf names as a server, but 127.0.0.1: there the container serves itself.
 * 0 when it names none.
 */
int vm_names_read(const char *resolv_conf, uint8_t ret[static 4]);

/*
 * (child) In the container's network namespace, after the hooks, which may write the file that is bound over
 * /etc/resolv.conf. bare_fd: the machine's root (namespaces.h). A connected socket, and its address added to create;
 * -1: no such server is named.
 */
int vm_names_open(const struct spec *spec, int bare_fd, struct buf *create);
