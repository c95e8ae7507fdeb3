/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * banned - calls that do not compile here
 *
 * Force-included by the Makefile into every file of the product. What they do
 * wrong: no bound (strcpy, sprintf, gets, alloca), hidden state (strtok), no
 * error (atoi), a shell (system, popen), a lookup in the container's or host's
 * name service (getpwnam…: CVE-2019-14271), a mount by path (mount: the class
 * of CVE-2021-30465; use the mount fds of namespaces/).
 */

#include <dirent.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#pragma GCC poison strcpy strcat stpcpy sprintf vsprintf strtok gets
#pragma GCC poison atoi atol atoll atof system popen tmpnam mktemp
#pragma GCC poison getpwnam getpwuid getgrnam getgrgid getpwent getgrent initgroups
#pragma GCC poison mount umount vfork
#undef alloca
#pragma GCC poison alloca
