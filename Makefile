# SPDX-License-Identifier: GPL-2.0
# "make help" lists the targets. Everything built goes to build/.

VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
B := build

all: userspace module ## (default) userspace and module

# --- kernel module: built in a copy, one for each kernel, so that several
# kernels' objects never meet and the source tree stays clean
KDIR ?= /lib/modules/$(shell uname -r)/build
ARCH_ARG = $(if $(ARCH),ARCH=$(ARCH))
# Asked of this header and not of "make kernelrelease", whose answer Debian's
# 6.1 headers get wrong.
KREL = $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' $(KDIR)/include/generated/utsrelease.h 2>/dev/null)
KSRC = Kbuild dkms.conf $(wildcard kmod/*.[ch] kmod/uapi/linux/*.h)

module: KBUILD_DIR = $(abspath $(B))/module/$(KREL)
module: ## berk.ko into build/module/<release>/ (KDIR=headers W=1 C=2)
	@test -n "$(KREL)" || { echo "no kernel headers in $(KDIR): install linux-headers-$$(uname -r)," \
		"or name others with KDIR=/usr/src/linux-headers-..." >&2; exit 1; }
	@mkdir -p $(KBUILD_DIR)
	@for f in $(KSRC); do cmp -s $$f $(KBUILD_DIR)/$$f || cp --parents $$f $(KBUILD_DIR)/; done
	@cd $(KBUILD_DIR) && for f in kmod/*.[ch]; do test -e $(CURDIR)/$$f || rm -f $$f; done
	+@$(MAKE) --no-print-directory -C $(KDIR) $(ARCH_ARG) M=$(KBUILD_DIR) modules
	@ln -sfn module/$(KREL)/berk.ko $(B)/berk.ko

# --- userspace
CFLAGS ?= -O2 -g
CPPFLAGS += -D_GNU_SOURCE -DBERK_VERSION='"$(VERSION)"' -Ikmod/uapi -Iuserspace
WARN := -std=gnu11 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
PKGS := libnl-genl-3.0 json-c libsystemd
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
PKG_LIBS = $(shell pkg-config --libs $(PKGS))

CORE := track path window wander ensemble servo msg msg_hello msg_report node peer hello elect measure \
	master members group reference follow check
RIM := nl nl_request nl_msg addr clock conf conf_key conf_value out out_name log
DAEMON := berkd lock drive near origin drift
CTL := ctl ctl_show ctl_peers ctl_live ctl_now ctl_watch ctl_conf
CORE_OBJ := $(CORE:%=$(B)/userspace/%.o)
RIM_OBJ := $(RIM:%=$(B)/userspace/%.o)
CTL_OBJ := $(CTL:%=$(B)/userspace/%.o)

userspace: $(B)/berkd $(B)/berkctl ## berkd and berkctl

$(B)/berkd: $(DAEMON:%=$(B)/userspace/%.o) $(CORE_OBJ) $(RIM_OBJ)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm
$(B)/berkctl: $(B)/userspace/berkctl.o $(CTL_OBJ) $(RIM_OBJ)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm
$(B)/userspace/%.o: userspace/%.c | libraries
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<

libraries:
	@pkg-config --print-errors --exists $(PKGS) || { echo "libraries are missing:" \
		"apt install pkg-config libnl-genl-3-dev libjson-c-dev libsystemd-dev" >&2; exit 1; }

# --- tests
# A unit test includes the file it tests and is linked with all the others.
SANITIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover -fno-omit-frame-pointer
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
UNIT_OBJ := $(patsubst userspace/%.c,$(B)/unit/%.o,\
	$(filter-out userspace/berkd.c userspace/berkctl.c,$(wildcard userspace/*.c)))

$(B)/unit/%.o: userspace/%.c | libraries
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(CPPFLAGS) $(WARN) $(SANITIZE) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<
# An archive, so that only those come in that the test does not include itself.
$(B)/unit/all.a: $(UNIT_OBJ)
	@rm -f $@
	@$(AR) rcs $@ $^
$(B)/unit/test_%: tests/unit/test_%.c $(B)/unit/all.a
	@echo "  CC      $@"
	@$(CC) $(CPPFLAGS) $(WARN) $(SANITIZE) $(PKG_CFLAGS) -MMD -MP -MT $@ -MF $@.d -o $@ $< \
		$(B)/unit/all.a -lcmocka $(PKG_LIBS) -lm
-include $(wildcard $(B)/userspace/*.d $(B)/unit/*.d)

unit: $(UNIT) ## unit tests of userspace, under ASan and UBSan
	@tests/unit/run $(UNIT)

kunit: ## KUnit suites and stress tests of the module in a debug kernel
	@tests/kunit/run

install-test: ## make install, and DKMS for both kernels, in a scratch tree (root)
	@tests/install

-include tests/vm/vm.mk
-include tests/sim/sim.mk

test: deps ## all tests: unit, sim, kunit, install-test, vm (root)
	@tests/run

lint: deps ## static checks of everything, silent when clean
	@tests/lint

deps: ## install with apt what the tests need and is missing
	@tests/deps

# --- installation
SBIN = $(DESTDIR)/usr/sbin
MAN = $(DESTDIR)/usr/share/man
UNITDIR = $(DESTDIR)/lib/systemd/system
MODDIR = $(DESTDIR)/lib/modules/$(KREL)/extra
MANPAGES := $(notdir $(wildcard userspace/man/*.[58]))
UNITS := $(notdir $(wildcard userspace/systemd/*.service))

install: all install-userspace ## everything, for the running kernel (DESTDIR=, KDIR=)
	install -D -m 644 $(B)/module/$(KREL)/berk.ko $(MODDIR)/berk.ko
	$(if $(DESTDIR),,depmod $(KREL))

install-userspace: userspace
	install -D -t $(SBIN) $(B)/berkd $(B)/berkctl
	for m in $(MANPAGES); do \
		install -D -m 644 userspace/man/$$m $(MAN)/man$${m##*.}/$$m || exit 1; done
	install -D -m 644 -t $(UNITDIR) $(UNITS:%=userspace/systemd/%)
	install -D -m 644 -t $(DESTDIR)/etc/berk userspace/berkd.conf.example
	test -e $(DESTDIR)/etc/berk/berkd.conf || \
		install -m 600 userspace/berkd.conf.example $(DESTDIR)/etc/berk/berkd.conf

uninstall: ## remove what install put there, but not /etc/berk/berkd.conf
	rm -f $(MODDIR)/berk.ko $(SBIN)/berkd $(SBIN)/berkctl $(UNITS:%=$(UNITDIR)/%)
	rm -f $(foreach m,$(MANPAGES),$(MAN)/man$(patsubst .%,%,$(suffix $m))/$m)
	rm -f $(DESTDIR)/etc/berk/berkd.conf.example
	$(if $(DESTDIR),,depmod $(KREL))

DKMS := dkms
DKMS_SRC = $(DESTDIR)/usr/src/berk-$(VERSION)

dkms-install: dkms-uninstall ## the module by DKMS instead, rebuilt with every new kernel
	mkdir -p $(DKMS_SRC)
	cp --parents $(KSRC) $(DKMS_SRC)/
	$(DKMS) install -m berk -v $(VERSION) $(if $(KVER),-k $(KVER))

dkms-uninstall: ## remove that again
	@command -v $(DKMS) >/dev/null || { echo "dkms is missing: apt install dkms" >&2; exit 1; }
	if $(DKMS) status -m berk -v $(VERSION) | grep -q .; then $(DKMS) remove -m berk -v $(VERSION) --all; fi
	rm -rf $(DKMS_SRC)

clean: ## remove build/
	rm -rf $(B)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

.PHONY: all module userspace libraries unit kunit install-test test lint deps \
	install install-userspace uninstall dkms-install dkms-uninstall clean help
.SECONDARY:
