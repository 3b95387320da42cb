# SPDX-License-Identifier: GPL-2.0
# Virtual machines: the demonstration, and the tests that need whole kernels.

NODES ?= 5
SECONDS ?= 120
KERNEL ?= 6.1
ROUNDS ?= 3
VM := $(B)/vm
VM_KERNELS := 6.1 6.12
VM_HOST := $(VM)/switch $(VM)/truth
VM_GUEST := $(VM)/nlfuzz $(VM)/cycle $(VM)/flood
VM_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/berk
VM_MAKE = $(MAKE) --no-print-directory -s

demo: ## virtual machines with wrong clocks converge (NODES=5 SECONDS=120 KERNEL=6.1|6.12 KILL=master|daemon|freeze) (root)
	@tests/vm/setup.sh $(KERNEL)
	@$(VM_MAKE) vm-image-$(KERNEL)
	@exec tests/vm/demo.py $(KERNEL) $(NODES) $(SECONDS) $(KILL)

vm: ## tests of the whole in virtual machines with both kernels (root)
	@tests/vm/setup.sh $(VM_KERNELS)
	@$(VM_MAKE) $(VM_KERNELS:%=vm-image-%)
	@exec tests/vm/vmtest.py $(VM_KERNELS)

bench: NODES = 4
bench: SECONDS = 60
bench: ## accuracy against chrony and ptp4l, 35 min (ROUNDS=3 NODES=4 SECONDS=60 KERNEL=6.1) (root)
	@tests/vm/setup.sh $(KERNEL) peers
	@$(VM_MAKE) bench-image-$(KERNEL)
	@exec tests/vm/bench.py $(KERNEL) $(NODES) $(SECONDS) $(ROUNDS)

# The initramfs of one kernel series, with everything in it.
vm-image-%: VM_REL = $(shell cat $(VM_CACHE)/kernel-$*/release)
vm-image-%: userspace $(VM)/agent $(VM_HOST) $(VM_GUEST)
	@echo "build: module and initramfs for $(VM_REL)"
	+@$(VM_MAKE) module KDIR=/usr/src/linux-headers-$(VM_REL) >$(VM)/module-$*.log 2>&1 || \
		{ cat $(VM)/module-$*.log >&2; exit 1; }
	@tests/vm/image.sh $* $(VM)/initramfs-$*.cpio $(VM)/agent $(B)/berkd $(B)/berkctl $(VM_GUEST) \
		$(B)/module/$(VM_REL)/berk.ko

# The same with the other time daemons, which are large.
VM_PEERS := $(addprefix $(VM_CACHE)/peers/usr/,sbin/chronyd bin/chronyc sbin/ptp4l sbin/pmc)
bench-image-%: VM_REL = $(shell cat $(VM_CACHE)/kernel-$*/release)
bench-image-%: vm-image-% $(VM)/bench_load
	@tests/vm/image.sh $* $(VM)/bench-$*.cpio $(VM)/agent $(B)/berkd $(B)/berkctl $(VM)/bench_load \
		$(VM_PEERS) $(B)/module/$(VM_REL)/berk.ko

$(VM)/agent: LDFLAGS += -static
$(VM)/nlfuzz $(VM)/cycle: LDLIBS = $(PKG_LIBS)
$(VM)/%: tests/vm/%.c tests/vm/page.h tests/vm/rawnl.h kmod/uapi/linux/berk.h | libraries
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) $(PKG_CFLAGS) $(LDFLAGS) -o $@ $< $(LDLIBS)

.PHONY: demo vm bench
