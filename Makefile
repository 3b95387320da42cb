# SPDX-License-Identifier: GPL-2.0
# make help lists what there is. Everything built goes to build/.

VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
KDIR ?= /lib/modules/$(shell uname -r)/build
ARCH_ARG = $(if $(ARCH),ARCH=$(ARCH))
B := build

all: userspace module

# --- kernel module: built in a copy, one for each kernel, so that several
# kernels' objects never meet and the source tree stays clean
KREL = $(shell $(MAKE) -s -C $(KDIR) $(ARCH_ARG) kernelrelease 2>/dev/null)
KSRC := Kbuild dkms.conf $(wildcard kmod/*.[ch] kmod/uapi/linux/*.h)

module: ## build berk.ko (KDIR=headers, default: the running kernel's)
	@test -n "$(KREL)" || { echo "no kernel headers at $(KDIR): install linux-headers or set KDIR" >&2; exit 1; }
	@mkdir -p $(B)/module/$(KREL)
	@cp -u --parents $(KSRC) $(B)/module/$(KREL)/
	$(MAKE) -C $(KDIR) $(ARCH_ARG) M=$(CURDIR)/$(B)/module/$(KREL) $(W) modules
	@ln -sf module/$(KREL)/berk.ko $(B)/berk.ko

# --- userspace
CFLAGS ?= -O2 -g
CPPFLAGS += -D_GNU_SOURCE -DBERK_VERSION='"$(VERSION)"' -Ikmod/uapi -Iuserspace
WARN := -std=gnu11 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
PKGS := libnl-genl-3.0 json-c libsystemd
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
PKG_LIBS = $(shell pkg-config --libs $(PKGS))

CORE := track ensemble servo msg node
RIM := nl clock conf out
CORE_OBJ := $(CORE:%=$(B)/userspace/%.o)
RIM_OBJ := $(RIM:%=$(B)/userspace/%.o)

userspace: $(B)/berkd $(B)/berkctl ## build berkd and berkctl

$(B)/berkd: $(B)/userspace/berkd.o $(CORE_OBJ) $(RIM_OBJ)
	$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm
$(B)/berkctl: $(B)/userspace/berkctl.o $(RIM_OBJ)
	$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm
$(B)/userspace/%.o: userspace/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) $(PKG_CFLAGS) -MMD -c -o $@ $<
-include $(wildcard $(B)/userspace/*.d)

clean: ## remove build/
	rm -rf $(B)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

.PHONY: all module userspace clean help
