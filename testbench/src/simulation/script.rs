//! What happens from outside while traffic flows: faults and administrators, at their times.

use super::*;
use crate::action::ActionKind;
use crate::fault::OnHost;
use driver::offload::RemoveCause;
use driver::policy;
use nic_model::chip::Reset;

impl Simulation {
    /// Something goes wrong.
    pub(super) fn strike(&mut self, now: Picos) -> Result<(), DeviceError> {
        self.world.watch.struck();
        match self.faults.strike(&mut self.board) {
            OnHost::Nothing => {}
            OnHost::LoseInterrupts(count) => self.world.cpu.lose_interrupts(count),
            OnHost::Starve(until) => self.world.cpu.starve(until),
            OnHost::Reset(reset) => self.board.reset(now, reset, &mut self.world),
            OnHost::Kill(until) => self.restart_driver(now, until)?,
        }
        Ok(())
    }

    /// The driver's process is killed; another one has the core from `until` on.
    fn restart_driver(&mut self, now: Picos, until: Picos) -> Result<(), DeviceError> {
        // The kernel resets the function in the same breath: nothing is written for a process that is not there.
        self.board.reset(now, Reset::Function, &mut self.world);
        let World { memory, cpu, watch } = &mut self.world;
        cpu.now = cpu.now.max(now);
        let mut machine = Machine {
            board: &mut self.board,
            memory,
            cpu,
        };
        let state = self.driver.state();
        let tracker = self.driver.end_process(&mut machine, watch)?;
        machine.cpu.starve(until);
        machine.memory.free_all();
        // A policy's name is what it is made from; one of somebody's own, which has no such name, ends with the process.
        let policy = policy::by_name(&self.policy_name).unwrap_or_else(|| Box::new(policy::Never));
        let config = self.driver_config.clone();
        self.driver = Driver::take_over(&mut machine, config, policy, tracker, &state)?;
        machine.cpu.tick_within(self.driver.tick_after());
        Ok(())
    }

    /// An administrator does something.
    pub(super) fn act(&mut self) -> Result<(), DeviceError> {
        let Some(action) = self.actions.next() else {
            return Ok(());
        };
        self.bridge.network = action.network.or(self.bridge.network);
        let World { memory, cpu, watch } = &mut self.world;
        cpu.now = cpu.now.max(action.at);
        if let Some(equivalence) = &mut watch.equivalence {
            equivalence.acts(Action {
                at: cpu.now,
                ..action.clone()
            });
        }
        let driver = &mut self.driver;
        let mut machine = Machine {
            board: &mut self.board,
            memory,
            cpu,
        };
        match action.kind {
            ActionKind::Flush | ActionKind::Nat => {
                driver.delete(&mut machine, watch, |_| true)?;
            }
            ActionKind::TakeOut => {
                driver.take_out(&mut machine, RemoveCause::RulesChanged, |_| true)?;
            }
            ActionKind::Stop => {
                driver.set_stopped(true);
                driver.take_out(&mut machine, RemoveCause::Stopped, |_| true)?;
            }
            ActionKind::Mark => {
                if let Some(rule) = &action.mark {
                    driver.remark(&mut machine, watch, |tracker, now| rule.apply(tracker, now))?;
                }
            }
            ActionKind::UpdateFirmware => {
                let image = action.image.map(|image| image.build());
                let begun = driver.update_firmware(&mut machine, image.unwrap_or_default());
                self.update_refused = begun.err();
            }
        }
        Ok(())
    }
}
