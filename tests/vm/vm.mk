# SPDX-License-Identifier: GPL-2.0
# Virtual machines: the demonstration and the tests that need whole kernels.

NODES ?= 5
SECONDS ?= 120
KERNEL ?= 6.1
VM := $(B)/vm
VMSRC := tests/vm
VM_GUEST := $(VM)/nlfuzz $(VM)/cycle $(VM)/flood
VM_KERNELS := 6.1 6.12
VM_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/berk
export XDG_CACHE_HOME

demo: vm-ready-$(KERNEL) ## machines with wrong clocks converge before your eyes (NODES=5 SECONDS=120 KERNEL=6.1|6.12)
	@exec /usr/bin/python3 $(VMSRC)/demo.py $(KERNEL) $(NODES) $(SECONDS)

vm: $(VM_KERNELS:%=vm-ready-%) ## tests in virtual machines, on both kernels
	@exec /usr/bin/python3 $(VMSRC)/vmtest.py $(VM_KERNELS)

# Everything of one kernel series; a setup first, that "make" finds its compiler.
vm-ready-%: vm-setup
	@$(MAKE) --no-print-directory vm-image-$*

vm-setup:
	@$(VMSRC)/setup.sh $(if $(filter vm,$(MAKECMDGOALS)),$(VM_KERNELS),$(KERNEL))

vm-module-%:
	@mkdir -p $(VM)
	@echo "build: module for $$(cat $(VM_CACHE)/kernel-$*/release)"
	@$(MAKE) --no-print-directory module KDIR=/usr/src/linux-headers-$$(cat $(VM_CACHE)/kernel-$*/release) \
		>$(VM)/module-$*.log 2>&1 || { cat $(VM)/module-$*.log >&2; exit 1; }

vm-image-%: vm-module-% userspace $(VM)/agent $(VM)/switch $(VM)/truth $(VM_GUEST)
	@echo "build: initramfs for $*"
	@$(VMSRC)/image.sh $* $(VM)/initramfs-$*.cpio $(VM)/agent $(B)/berkd $(B)/berkctl $(VM_GUEST) \
		$(B)/module/$$(cat $(VM_CACHE)/kernel-$*/release)/berk.ko

$(VM)/agent: LDFLAGS += -static
$(VM)/nlfuzz $(VM)/cycle: LDLIBS = $(PKG_LIBS)
$(VM)/%: $(VMSRC)/%.c $(VMSRC)/page.h $(VMSRC)/rawnl.h kmod/uapi/linux/berk.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) $(PKG_CFLAGS) $(LDFLAGS) -o $@ $< $(LDLIBS)

.PHONY: demo vm vm-setup
.PRECIOUS: $(VM)/%
