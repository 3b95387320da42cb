# SPDX-License-Identifier: GPL-2.0
# The simulator: the core in virtual time. Included by the Makefile.

SIM := rng osc vclock link world module host parse scenario action hist metrics
SIM_OBJ := $(SIM:%=$(B)/sim/%.o)
SEEDS := 20
LIMIT :=

$(B)/sim/sim: $(B)/sim/main.o $(SIM_OBJ) $(CORE_OBJ)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $^ -lm
$(B)/sim/%.o: tests/sim/%.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(CPPFLAGS) -Itests/sim -DSIM_DIR='"tests/sim"' $(CFLAGS) $(WARN) -MMD -MP -c -o $@ $<
-include $(wildcard $(B)/sim/*.d)

sim: $(B)/sim/sim ## scenarios in virtual time (SEEDS=20, LIMIT=10min shortens the long ones)
	@tests/sim/run --sim $(B)/sim/sim --out $(B)/sim/results.json --seeds $(SEEDS) \
		$(if $(LIMIT),--limit $(LIMIT)) $(SCENARIOS)

.PHONY: sim
