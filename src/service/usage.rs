//! Processor time and memory of replicas, for policies that scale by them.

use std::time::Duration;

/// Measurement of one replica by its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Time of the measurement, by the engine's clock.
    pub taken: Duration,
    /// Processor time since the replica began.
    pub cpu: Duration,
    /// Memory in use, without caches that the kernel can reclaim at once.
    pub memory_bytes: u64,
    /// Limit of memory; the machine's memory without one.
    pub memory_limit_bytes: u64,
}

impl Usage {
    /// Thousandths of a core in use since `earlier`; `None` when no time has passed, or the count
    /// went back.
    pub fn millicores_since(&self, earlier: &Usage) -> Option<u64> {
        let passed = self.taken.checked_sub(earlier.taken)?.as_nanos();
        // A count that went back is another container's, or a restarted one.
        let used = self.cpu.checked_sub(earlier.cpu)?.as_nanos();
        let millicores = (used * 1000).checked_div(passed)?;
        u64::try_from(millicores).ok()
    }
}

/// Sum over the ready replicas of a service, as far as they were measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Number of ready replicas that were measured.
    pub replicas: u32,
    /// Thousandths of a core.
    pub millicores: u64,
    /// Limit of one replica; a core without one.
    pub millicores_limit: u64,
    pub memory_bytes: u64,
    /// Limit of one replica.
    pub memory_limit_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_is_processor_time_over_the_time_that_passed() {
        let usage = |taken, cpu| Usage {
            taken: Duration::from_millis(taken),
            cpu: Duration::from_millis(cpu),
            memory_bytes: 0,
            memory_limit_bytes: 0,
        };
        let before = usage(1_000, 300);
        for (now, expected) in [
            (usage(6_000, 2_800), Some(500)),
            (usage(6_000, 300), Some(0)),
            (usage(1_000, 300), None),
            (usage(6_000, 100), None),
        ] {
            assert_eq!(now.millicores_since(&before), expected, "{now:?}");
        }
    }
}
