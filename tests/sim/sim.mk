# SPDX-License-Identifier: GPL-2.0
# The simulator: the core in virtual time. Included by the Makefile.

SIM := rng osc vclock link lie world module host watch \
	parse statement setting happening scenario action campaign hist groups rate metrics figures
SIM_OBJ := $(SIM:%=$(B)/sim/%.o)
SEEDS := 20
LIMIT :=

$(B)/sim/sim: $(B)/sim/main.o $(SIM_OBJ) $(CORE_OBJ)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $^ -lm
$(B)/sim/ideal: $(B)/sim/ideal.o $(SIM_OBJ) $(CORE_OBJ)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $^ -lm
$(B)/sim/%.o: tests/sim/%.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(CPPFLAGS) -Itests/sim -DSIM_DIR='"tests/sim"' $(CFLAGS) $(WARN) -MMD -MP -c -o $@ $<
-include $(wildcard $(B)/sim/*.d)

# The same with the sanitizers, for the unit tests that need a world.
SIM_UNIT_OBJ := $(SIM:%=$(B)/unit/sim/%.o)

$(B)/unit/sim/%.o: tests/sim/%.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(CPPFLAGS) -Itests/sim $(WARN) $(SANITIZE) -MMD -MP -c -o $@ $<
$(B)/unit/sim.a: $(SIM_UNIT_OBJ)
	@rm -f $@
	@$(AR) rcs $@ $^
$(B)/unit/test_node $(B)/unit/test_sim $(B)/unit/test_watch: $(B)/unit/test_%: tests/unit/test_%.c $(B)/unit/sim.a $(B)/unit/all.a
	@echo "  CC      $@"
	@$(CC) $(CPPFLAGS) -Itests/sim $(WARN) $(SANITIZE) $(PKG_CFLAGS) -MMD -MP -MT $@ -MF $@.d -o $@ $< \
		$(B)/unit/sim.a $(B)/unit/all.a -lcmocka $(PKG_LIBS) -lm
-include $(wildcard $(B)/unit/sim/*.d)

sim: $(B)/sim/sim ## scenarios in virtual time (SEEDS=20, LIMIT=10min shortens the long ones)
	@tests/sim/run --sim $(B)/sim/sim --out $(B)/sim/results.json --seeds $(SEEDS) \
		$(if $(LIMIT),--limit $(LIMIT)) $(SCENARIOS)

sim-campaign: $(B)/sim/sim ## ten random minutes per seed, and what must never happen (SEEDS=500)
	@tests/sim/run --sim $(B)/sim/sim --out $(B)/sim/campaign.json --seeds $(SEEDS) campaign

sim-campaign: SEEDS := 500

sim-ideal: $(B)/sim/ideal ## what an estimator that knows everything would reach, half a minute
	@$(B)/sim/ideal

.PHONY: sim sim-campaign sim-ideal
