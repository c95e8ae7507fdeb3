# bulkhead - build, test, install
#
#   make              the binary, build/bulkhead
#   make quickstart   from a fresh Debian to a running container
#   make check        lint, unit and system tests; installs what they need
#   make check-vm     all system tests of containers behind the VM wall, on the disposable host; takes hours
#   make host-kernel  a small kernel for the disposable host (tests/host/); optional
#   make fuzz         each fuzz target for FUZZ_SECONDS (120), with clang; FUZZ=… names some of them
#   make guest-kernel a small kernel for virtual machines, build/guest-kernel/vmlinux; `make install` then installs it
#   make bench        the table of speed and size; WALL=vm: that of virtual machines
#   make install      DESTDIR and PREFIX as usual; make uninstall with the same ones
#   make SANITIZE=1 …  with address and undefined-behaviour sanitizers
#   make SHARED=1 …    build/bulkhead linked with the shared libc (else static with musl; STATIC=1 insists)
#
# A room may use the rooms that USES_ names and nothing else: its unit tests link
# exactly these, so a call that goes sideways or upwards does not link.

ROOMS = spec/base spec runtime/process namespaces cgroups cgroups/cpugroup cgroups/systemd overlay \
        runtime/launch vm/wire vm/fs vm/virtio vm/kernel vm vm/session runtime cli

USES_spec/base       =
USES_spec            = spec/base
USES_runtime/process = spec spec/base
USES_namespaces      = spec spec/base
USES_cgroups         = spec spec/base
USES_cgroups/cpugroup = cgroups spec spec/base
USES_cgroups/systemd = cgroups spec spec/base
USES_overlay         = spec spec/base
USES_runtime/launch  = runtime/process cgroups spec spec/base
USES_vm/wire         = spec/base
USES_vm/fs           = spec/base
USES_vm/virtio       = vm/fs spec/base
USES_vm/kernel       = spec/base
USES_vm              = vm/virtio vm/kernel vm/fs spec/base
USES_vm/session      = vm/wire vm $(USES_vm)
USES_runtime         = runtime/launch runtime/process namespaces cgroups/cpugroup cgroups/systemd cgroups overlay vm/session $(USES_vm/session) spec
USES_cli             = runtime $(USES_runtime)

B       ?= build
PREFIX  ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
MANDIR  ?= $(PREFIX)/share/man
CC      ?= gcc
VERSION := $(shell cat VERSION)
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

CFLAGS  ?= -O2 -g
WARN     = -Wall -Wextra -Wshadow -Wmissing-prototypes -Wvla -Wformat=2 -Wstrict-prototypes \
           -Wpointer-arith -Wundef -Werror
HARDEN   = -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fno-plt -fPIE
LDHARDEN = -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed -Wl,-O1 -Wl,--hash-style=gnu
ifdef SHARED
override B := $(B)/shared
endif
ifdef SANITIZE
override B := $(B)/sanitize
HARDEN   = -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
LDHARDEN = -fsanitize=address,undefined
endif

# Which binary build/bulkhead is. Static with musl where Debian's musl-tools and
# the archives are: glibc's start-up alone is longer than what `state` does (README,
# Speed). What only a shared library can do (see spec/base/dl.h) is then done by
# build/bulkhead-shared, which the static one executes for those few commands.
# SHARED=1 makes the shared one the main one; STATIC=1 insists on the static one.
MUSL_DIR := /usr/lib/$(shell uname -m)-linux-musl
archive   = $(shell $(CC) -print-file-name=lib$1.a)
STATIC_LIBS := $(call archive,yajl_s) $(call archive,seccomp)
HAS_MUSL := $(and $(wildcard $(MUSL_DIR)/rcrt1.o),$(filter-out lib%.a,$(STATIC_LIBS)))
ifeq ($(SHARED)$(SANITIZE),)
KIND := $(if $(HAS_MUSL)$(STATIC),musl,shared)
else
KIND := shared
endif
MUSL_CF   = -specs=$(MUSL_DIR)/musl-gcc.specs -idirafter /usr/include \
            -idirafter /usr/include/$(shell $(CC) -print-multiarch) -DBULKHEAD_STATIC
MUSL_LINK = -nostdlib -static-pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,-O1 -Wl,--hash-style=gnu

# V=1 shows the commands.
Q       := $(if $(V),,@)
say      = $(if $(V),,@printf '  %-5s %s\n' '$1' '$@')
ALL_CF   = -std=gnu11 -D_GNU_SOURCE -I. -include spec/base/banned.h $(WARN) $(HARDEN) \
           -fvisibility=hidden -ffunction-sections -fdata-sections -MMD -MP $(CPPFLAGS) $(CFLAGS)
LIBS     = -l:libyajl_s.a

lib      = $(B)/lib$(subst /,_,$1).a
srcs     = $(wildcard $1/*.c)
objs     = $(patsubst %.c,$(B)/%.o,$(call srcs,$1))
uses     = $(foreach u,$(USES_$1),$(if $(call srcs,$u),$(call lib,$u)))
ROOMLIBS = $(foreach r,$(ROOMS),$(if $(call srcs,$r),$(call lib,$r)))
HEADERS  = $(foreach r,$(ROOMS) vm/agent,$(wildcard $r/*.h))

all: $(B)/bulkhead $(B)/bulkhead-shared

define room
$(call lib,$1): $(call objs,$1)
	@mkdir -p $$(@D)
	@rm -f $$@ && $(AR) rcs $$@ $$^
TESTS_$1 = $(wildcard tests/unit/$1/*_test.c)
$(B)/test-$(subst /,_,$1): $$(patsubst %.c,$(B)/%.o,$$(TESTS_$1)) $(filter-out $(B)/cli/main.o $(B)/vm/agent/main.o,$(call objs,$1)) $(call uses,$1)
	$$(call say,LINK)
	$(Q)$(CC) $(LDHARDEN) $(LDFLAGS) -o $$@ $$^ -lcriterion -lcap $(LIBS)
test-$(subst /,_,$1): $(B)/test-$(subst /,_,$1)
	./$$< --short-filename
endef
$(foreach r,$(ROOMS),$(eval $(call room,$r)))

# The first process of a guest: a program of its own, whose objects no other has.
USES_vm/agent = vm/wire namespaces runtime/launch runtime/process cgroups spec spec/base
$(eval $(call room,vm/agent))
UNIT_ROOMS = $(foreach r,$(ROOMS) vm/agent,$(if $(TESTS_$r),$r))
UNIT_TESTS = $(foreach r,$(UNIT_ROOMS),$(B)/test-$(subst /,_,$r))

# Unit tests may use what product code may not (banned.h), and need no hardening.
$(B)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(filter-out -include spec/base/banned.h -Wmissing-prototypes,$(ALL_CF)) -c -o $@ $<

# A guest and who starts it (tests/vm/), run on the disposable host.
VM_LIBS  = $(call lib,vm) $(foreach r,$(USES_vm),$(if $(call srcs,$r),$(call lib,$r)))
$(B)/tests/vm/boot: $(B)/tests/vm/boot.o $(VM_LIBS)
	$(call say,LINK)
	$(Q)$(CC) $(LDHARDEN) $(LDFLAGS) -o $@ $^ $(LIBS)
$(B)/tests/vm/guest: tests/vm/guest.c vm/agent/port.c tests/vm/inside.h
	@mkdir -p $(@D)
	$(call say,GUEST)
	$(Q)$(if $(HAS_MUSL),$(CC) $(MUSL_CF),$(CC)) -std=gnu11 -D_GNU_SOURCE -I. -Os -Wall -Wextra -Werror -static -s -o $@ $(filter %.c,$^)
$(B)/tests/vm/session: $(B)/tests/vm/session.o $(call lib,vm/session) $(call lib,vm/wire) $(VM_LIBS)
	$(call say,LINK)
	$(Q)$(CC) $(LDHARDEN) $(LDFLAGS) -o $@ $^ $(LIBS)
ECHO_AGENT = tests/vm/echo_agent.c vm/agent/port.c vm/wire/wire.c $(patsubst %,spec/base/%.c,buf error arena)
$(B)/tests/vm/echo_agent: $(ECHO_AGENT) tests/vm/inside.h
	@mkdir -p $(@D)
	$(call say,GUEST)
	$(Q)$(if $(HAS_MUSL),$(CC) $(MUSL_CF),$(CC)) -std=gnu11 -D_GNU_SOURCE -I. -Os -Wall -Wextra -Werror -static -s -o $@ $(ECHO_AGENT)
vm-test: $(B)/tests/vm/boot $(B)/tests/vm/guest $(B)/tests/vm/session $(B)/tests/vm/echo_agent
# The machine that `make bench WALL=vm` compares ours with.
$(B)/tests/bench/pvmm: $(B)/tests/bench/pvmm.o $(VM_LIBS)
	$(call say,LINK)
	$(Q)$(CC) $(LDHARDEN) $(LDFLAGS) -o $@ $^ $(LIBS)

# Fuzz targets (tests/fuzz/): `make fuzz` with clang's libFuzzer, `make fuzz-replay` what that has found, without.
FUZZ         ?= queue console rng fs net balloon fuse wire session json spec
FUZZ_SECONDS ?= 120
FUZZ_ROOMS    = vm/session vm/wire vm/virtio vm/fs spec spec/base
FUZZ_device_rng = 0
FUZZ_device_balloon = 1
FUZZ_device_net = 2
FUZZ_device_console = 3
FUZZ_device_fs = 4
CLANG        ?= clang
fuzz_main     = $(if $(FUZZ_device_$1),virtio,$1)
FUZZ_CF       = -std=gnu11 -D_GNU_SOURCE -I. -g -O1 -fno-omit-frame-pointer -MMD -MP
FUZZ_SAN      = -fsanitize=address,undefined -fno-sanitize-recover=undefined

# $1: fuzz or replay, $2: compiler, $3: flags to compile, $4: flags to link, $5: further objects
define fuzzer
$(B)/$1/obj/%.o: %.c
	@mkdir -p $$(@D)
	$$(call say,CC)
	$$(Q)$2 $(FUZZ_CF) $3 -c -o $$@ $$<
$(B)/$1/rooms.a: $(foreach r,$(FUZZ_ROOMS),$(patsubst %.c,$(B)/$1/obj/%.o,$(call srcs,$r)))
	@rm -f $$@ && $(AR) rcs $$@ $$^
$(foreach t,$(FUZZ),$(call fuzzer_target,$1,$2,$3,$4,$5,$t))
endef
define fuzzer_target
$(B)/$1/$6: tests/fuzz/$(call fuzz_main,$6)_fuzz.c $5 $(B)/$1/rooms.a
	$$(call say,FUZZ)
	$$(Q)$2 $(FUZZ_CF) $3 $4 $(FUZZ_device_$6:%=-DFUZZ_DEVICE=%) -o $$@ $$(filter-out %.h,$$^) $(LIBS)

endef
$(eval $(call fuzzer,fuzz,$(CLANG),-fsanitize=fuzzer-no-link $(FUZZ_SAN),-fsanitize=fuzzer,))
$(eval $(call fuzzer,replay,$(CC),$(FUZZ_SAN),,$(B)/replay/obj/tests/fuzz/replay.o))
fuzz-targets: $(FUZZ:%=$(B)/fuzz/%)
replay-targets: $(FUZZ:%=$(B)/replay/%)
fuzz:
	@tests/fuzz/run.sh fuzz $(B) $(FUZZ_SECONDS) $(FUZZ)
fuzz-replay:
	@tests/fuzz/run.sh replay $(B) 0 $(FUZZ)

# The static binary's objects live beside the others, which unit tests and the shared binary use.
M        = $(B)/musl
$(M)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,MUSL)
	$(Q)$(CC) $(MUSL_CF) $(ALL_CF) -c -o $@ $<

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CF) -c -o $@ $<

# The last program before the container's own: no libc, no relocations, embedded
# as bytes (runtime/launch/stub/). Its source says why.
STUB_CF = -std=gnu11 -Os -static -nostdlib -ffreestanding -fno-stack-protector -fno-pie -no-pie \
          -fno-asynchronous-unwind-tables -fcf-protection=none -Wall -Wextra -Werror \
          -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,norelro -Wl,-z,max-page-size=4096 -Wl,-n -s
$(B)/runtime/launch/stub/stub: runtime/launch/stub/stub.c runtime/launch/stub/stub.h
	@mkdir -p $(@D)
	$(call say,STUB)
	$(Q)$(CC) -I. $(STUB_CF) -o $@ $<
$(B)/runtime/launch/stub_image.o $(B)/musl/runtime/launch/stub_image.o: ALL_CF += -DSTUB_FILE='"$(B)/runtime/launch/stub/stub"'
$(B)/runtime/launch/stub_image.o $(B)/musl/runtime/launch/stub_image.o: $(B)/runtime/launch/stub/stub

# The first process of a guest (vm/agent/), embedded as bytes too: static, with the rooms that apply plans on the host,
# compiled once more for size. Without musl the static glibc does, where it is.
A         = $(B)/agent
AGENT_CF  = $(filter-out $(HARDEN) $(CFLAGS),$(ALL_CF)) -Os -fno-pie -fstack-protector-strong -fno-asynchronous-unwind-tables -DBULKHEAD_STATIC
AGENTOBJS = $(foreach r,$(USES_vm/agent) vm/agent,$(patsubst %.c,$(A)/%.o,$(call srcs,$r)))
AGENT_LD  = -static -no-pie -s -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,noexecstack
$(A)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,AGENT)
	$(Q)$(CC) $(if $(HAS_MUSL),$(MUSL_CF)) $(AGENT_CF) -c -o $@ $<
$(A)/runtime/launch/stub_image.o: ALL_CF += -DSTUB_FILE='"$(B)/runtime/launch/stub/stub"'
$(A)/runtime/launch/stub_image.o: $(B)/runtime/launch/stub/stub
$(A)/librooms.a: $(filter-out $(A)/vm/agent/%,$(AGENTOBJS))
	@rm -f $@ && $(AR) rcs $@ $^
$(B)/vm/agent/agent: $(filter $(A)/vm/agent/%,$(AGENTOBJS)) $(A)/librooms.a
	@mkdir -p $(@D)
	$(call say,LINK)
ifdef HAS_MUSL
	$(Q)$(CC) -nostdlib $(AGENT_LD) -o $@ $(MUSL_DIR)/crt1.o $(MUSL_DIR)/crti.o $^ \
		-Wl,--start-group $(call archive,yajl_s) $(MUSL_DIR)/libc.a -lgcc -Wl,--end-group $(MUSL_DIR)/crtn.o
else
	$(Q)$(CC) $(AGENT_LD) -o $@ $^ $(LIBS)
endif

$(B)/vm/agent_image.o $(B)/musl/vm/agent_image.o: ALL_CF += -DAGENT_FILE='"$(B)/vm/agent/agent"'
$(B)/vm/agent_image.o $(B)/musl/vm/agent_image.o: $(B)/vm/agent/agent

$(B)/cli/version.o $(B)/musl/cli/version.o: ALL_CF += -DBULKHEAD_VERSION='"$(VERSION)"' -DBULKHEAD_COMMIT='"$(COMMIT)"'

ALLSRCS  = $(foreach r,$(ROOMS),$(call srcs,$r))
MUSLOBJS = $(patsubst %.c,$(M)/%.o,$(ALLSRCS))

ifeq ($(KIND),musl)
$(B)/bulkhead: $(MUSLOBJS)
	$(call say,LINK)
	$(Q)$(CC) $(MUSL_LINK) $(LDFLAGS) -Wl,--gc-sections -o $@ $(MUSL_DIR)/rcrt1.o $(MUSL_DIR)/crti.o $^ \
		-Wl,--start-group $(STATIC_LIBS) $(MUSL_DIR)/libc.a -lgcc -Wl,--end-group $(MUSL_DIR)/crtn.o
else
$(B)/bulkhead: $(B)/bulkhead-shared
	$(Q)ln -f $< $@
endif

$(B)/bulkhead-shared: $(B)/cli/main.o $(B)/cli/sanitize.o $(ROOMLIBS)
	$(call say,LINK)
	$(Q)$(CC) $(LDHARDEN) $(LDFLAGS) -Wl,--gc-sections -o $@ $(filter %.o,$^) -Wl,--start-group $(ROOMLIBS) -Wl,--end-group $(LIBS)

deps:
	@tests/install-deps.sh build

check: check-deps
	@tests/run.sh

check-vm: check-deps all
	@WALL=vm tests/run.sh host

check-deps:
	@tests/install-deps.sh check

host-kernel:
	@tests/host/kernel.sh

# The same for every kind of build.
guest-kernel:
	@vm/kernel/build.sh vm/kernel/guest.fragment build/guest-kernel linux-source-6.12 linux-source-6.1

unit: $(UNIT_TESTS)
	@set -e; for t in $(UNIT_TESTS); do ./$$t --short-filename; done

lint: $(HEADERS:%=$(B)/%.ok)
	@tests/lint/run.sh $(foreach r,$(ROOMS),$r:$(subst $(space),$(comma),$(strip $(USES_$r))))

# Every header compiles alone.
$(B)/%.h.ok: %.h
	@mkdir -p $(@D)
	@printf '#include "%s"\n' $< | $(CC) $(filter-out -MMD -MP,$(ALL_CF)) -fsyntax-only -x c -
	@touch $@

comma := ,
space := $(empty) $(empty)

quickstart: deps
	@$(MAKE) --no-print-directory all
	@tests/quickstart.sh $(B)/bulkhead

bench: all $(if $(filter vm,$(WALL)),$(B)/tests/bench/pvmm)
	@tests/bench/$(if $(filter vm,$(WALL)),vm,run).sh $(B)/bulkhead

install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man7
	install -m 0755 $(B)/bulkhead $(B)/bulkhead-shared $(DESTDIR)$(SBINDIR)/
	ln -sf bulkhead $(DESTDIR)$(SBINDIR)/bulkhead-vm
	[ ! -e build/guest-kernel/vmlinux ] || install -D -m 0644 build/guest-kernel/vmlinux $(DESTDIR)$(PREFIX)/lib/bulkhead/vmlinux
	for s in 5 7 8; do for p in man/*.$$s; do [ -e "$$p" ] || continue; install -m 0644 "$$p" $(DESTDIR)$(MANDIR)/man$$s/; done; done

uninstall:
	rm -f $(addprefix $(DESTDIR)$(SBINDIR)/,bulkhead bulkhead-shared bulkhead-vm) $(DESTDIR)$(PREFIX)/lib/bulkhead/vmlinux
	for p in man/*.[578]; do rm -f "$(DESTDIR)$(MANDIR)/man$${p##*.}/$${p##*/}"; done
	[ ! -d $(DESTDIR)$(PREFIX)/lib/bulkhead ] || rmdir --ignore-fail-on-non-empty $(DESTDIR)$(PREFIX)/lib/bulkhead

clean:
	rm -rf build

.PHONY: guest-kernel fuzz fuzz-targets fuzz-replay replay-targets vm-test all deps check check-vm check-deps host-kernel unit lint quickstart bench install uninstall clean
-include $(shell find $(B) -name '*.d' 2>/dev/null)
