//! A budget of further attempts: when everything fails, retries must not multiply the load that made it fail.
//!
//! Every request pays a share of an attempt in, every retry or hedge takes a whole one out. A small reserve
//! refills with time, so that a quiet endpoint's lone failure is tried again too (after Finagle's retry
//! budget, which pays in 20 % and keeps 10 a second).

use corliss_types::Timestamp;

/// Thousandths of an attempt: shares of a percent stay whole numbers.
const ATTEMPT: u64 = 1_000;
/// Attempts that a quiet endpoint has.
const RESERVE: u64 = 10 * ATTEMPT;
/// Attempts that can be saved up.
const SAVED_MAX: u64 = 100 * ATTEMPT;

/// What is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudget {
    balance: u64,
    refilled: Option<Timestamp>,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            balance: RESERVE,
            refilled: None,
        }
    }
}

impl RetryBudget {
    /// A request came: it pays so many percent of an attempt in.
    pub fn deposit(&mut self, percent: u32) {
        let share = u64::from(percent).saturating_mul(ATTEMPT / 100);
        self.balance = self.balance.saturating_add(share).min(SAVED_MAX);
    }

    /// Takes an attempt out; false if none is left. Nothing is allowed where requests pay nothing in.
    pub fn withdraw(&mut self, percent: u32, now: Timestamp) -> bool {
        if percent == 0 {
            return false;
        }
        self.refill(now);
        let Some(rest) = self.balance.checked_sub(ATTEMPT) else {
            return false;
        };
        self.balance = rest;
        true
    }

    /// The reserve comes back within a second.
    fn refill(&mut self, now: Timestamp) {
        let since = now.since(*self.refilled.get_or_insert(now)).0;
        let share = RESERVE.saturating_mul(since.min(1_000)) / 1_000;
        if share > 0 {
            self.refilled = Some(now);
            if self.balance < RESERVE {
                self.balance = (self.balance + share).min(RESERVE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use corliss_types::DurationMs;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn allowed(budget: &mut RetryBudget, tries: u32, now: Timestamp) -> usize {
        (0..tries).filter(|_| budget.withdraw(20, now)).count()
    }

    #[test]
    fn under_load_retries_are_a_share_of_requests() {
        let mut budget = RetryBudget::default();
        let mut retries = 0;
        for _ in 0..10_000 {
            budget.deposit(20);
            retries += usize::from(budget.withdraw(20, NOW));
        }
        assert_eq!(retries, 2_010);
    }

    #[test]
    fn a_quiet_endpoint_has_a_reserve_that_comes_back() {
        let mut budget = RetryBudget::default();
        assert_eq!(allowed(&mut budget, 50, NOW), 10);
        assert_eq!(allowed(&mut budget, 50, NOW + DurationMs(500)), 5);
        assert_eq!(allowed(&mut budget, 50, NOW + DurationMs::from_secs(60)), 10);
    }

    #[test]
    fn what_is_saved_up_is_bounded_and_none_is_none() {
        let mut budget = RetryBudget::default();
        for _ in 0..100_000 {
            budget.deposit(20);
        }
        assert_eq!(allowed(&mut budget, 1_000, NOW), 100);
        assert!(!RetryBudget::default().withdraw(0, NOW));
    }
}
