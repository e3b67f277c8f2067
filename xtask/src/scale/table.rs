//! The tables of docs/SCALING.md: what is assumed of an agent, what a fleet does, what so many agents need.
//!
//! Invariant: every figure follows from `measured`, the simulation and the assumptions that are printed with
//! it. Not here: advice.

use super::{
    fleet::{Arrivals, Fleet, Found},
    measured::{Costs, MACHINE, ROW_BYTES},
};
use crate::load::{Failure, float};
use std::io::{self, Write};

/// What an agent does. Change them and print the tables anew.
#[derive(Clone, Copy)]
struct Behaviour {
    tasks_a_day: f64,
    polls_a_task: f64,
    /// The busiest second beside the mean one.
    peak: f64,
    output_bytes: f64,
    output_days: f64,
}

/// The part of what it could do that a machine is given.
const LOADED: f64 = 0.6;
const PROCESS_CORES: usize = 4;
const DATABASE_CORES: usize = 16;
/// Over a network, with a disk of a data centre: microseconds.
const ROUND_TRIP: f64 = 300.0;
const SYNC: f64 = 1_000.0;
const DAY_SECONDS: f64 = 86_400.0;

/// Prints all tables as Markdown.
pub(crate) fn run(tasks_a_day: u64, polls_a_task: u64) -> Result<(), Failure> {
    let behaviour = Behaviour {
        tasks_a_day: float(tasks_a_day),
        polls_a_task: float(polls_a_task),
        peak: 4.0,
        output_bytes: 1.5e6,
        output_days: 30.0,
    };
    let mut out = io::stdout();
    write!(out, "{}\n{}\n{}", assumed(behaviour), fleets(), agents(behaviour))?;
    Ok(())
}

fn assumed(behaviour: Behaviour) -> String {
    let Behaviour { tasks_a_day, polls_a_task, peak, output_bytes, output_days } = behaviour;
    format!(
        "| assumed | |\n|---|---|\n| tasks of an agent in a day | {tasks_a_day:.0} |\n\
         | polls of a task | {polls_a_task:.0} |\n| busiest second ÷ mean second | {peak:.0} |\n\
         | bytes of a task's output | {output_bytes:.0} |\n\
         | days that outputs are kept | {output_days:.0} |\n\
         | how far a machine is loaded | {:.0} % |\n\
         | cores of a gateway, of a PostgreSQL | {PROCESS_CORES}, {DATABASE_CORES} |\n\
         | round trip between them, sync of its disk | {:.1} ms, {:.1} ms |\n",
        LOADED * 100.0,
        ROUND_TRIP / 1e3,
        SYNC / 1e3
    )
}

/// Gateways on machines of their own over one PostgreSQL on another.
fn fleet(processes: usize, one_account: bool, load: Arrivals) -> Fleet {
    Fleet {
        costs: Costs { round_trip: ROUND_TRIP, sync: SYNC, client: 0.0, ..MACHINE },
        processes,
        cores_per_process: PROCESS_CORES,
        database_cores: DATABASE_CORES,
        one_machine: false,
        one_account,
        load,
        seconds: 2.0,
    }
}

/// The most that a fleet accepts, and how long a request takes at the load that it is given.
fn capacity(processes: usize, one_account: bool) -> (Found, Found) {
    let most = fleet(processes, one_account, Arrivals::Clients(512 * processes)).simulate();
    let load = Arrivals::PerSecond(most.per_second * LOADED);
    (most, fleet(processes, one_account, load).simulate())
}

fn fleets() -> String {
    let mut text = "| gateways | accounts | accepts/s at most | in a commit | p50, p99 at 60 % of that |\n\
                    |---|---|---|---|---|\n"
        .to_owned();
    for (one_account, accounts) in [(true, "one"), (false, "many")] {
        for processes in [1, 2, 4, 8] {
            let (most, loaded) = capacity(processes, one_account);
            let Found { per_second, per_batch, .. } = most;
            let Found { p50_ms, p99_ms, .. } = loaded;
            text += &format!(
                "| {processes} | {accounts} | {} | {per_batch:.0} | {p50_ms:.1} ms, {p99_ms:.1} ms |\n",
                grouped(per_second)
            );
        }
    }
    text
}

fn agents(behaviour: Behaviour) -> String {
    let mut rows = vec![vec!["".to_owned()]];
    let labels = [
        "tasks/s, mean and peak",
        "polls/s, peak",
        "gateway cores",
        "PostgreSQL cores, all tasks' work",
        "PostgreSQL cores, polls",
        "PostgreSQL servers",
        "connections of each",
        "bytes of rows in a year",
        "bytes of outputs",
    ];
    rows.extend(labels.map(|label| vec![label.to_owned()]));
    for (name, count) in [("10⁴ agents", 1e4), ("10⁶ agents", 1e6), ("10⁸ agents", 1e8)] {
        let column = std::iter::once(name.to_owned()).chain(needs(behaviour, count));
        rows.iter_mut().zip(column).for_each(|(row, cell)| row.push(cell));
    }
    rows.insert(1, vec!["---".to_owned(); 4]);
    rows.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect()
}

/// What so many agents need, in the order of the rows.
fn needs(behaviour: Behaviour, count: f64) -> [String; 9] {
    let mean = behaviour.tasks_a_day * count / DAY_SECONDS;
    let tasks = mean * behaviour.peak;
    let polls = tasks * behaviour.polls_a_task;
    let cores = |micros: f64| (micros / 1e6 / LOADED).max(0.01);
    let gateways = cores(tasks * MACHINE.whole_gateway + polls * MACHINE.poll_gateway);
    let (of_tasks, of_polls) = (cores(tasks * MACHINE.whole_database), cores(polls * MACHINE.poll_database));
    let servers = ((of_tasks + of_polls) / whole(DATABASE_CORES)).ceil();
    let processes = (gateways / whole(PROCESS_CORES)).ceil();
    // Readers 2, writers 4, and 3 more in each process.
    let connections = (processes / servers).ceil() * 9.0;
    let rows = mean * DAY_SECONDS * 365.0 * ROW_BYTES;
    let outputs = mean * DAY_SECONDS * behaviour.output_days * behaviour.output_bytes;
    [
        format!("{}, {}", grouped(mean), grouped(tasks)),
        grouped(polls),
        grouped(gateways),
        grouped(of_tasks),
        grouped(of_polls),
        grouped(servers),
        grouped(connections),
        bytes(rows),
        bytes(outputs),
    ]
}

fn whole(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Two figures that count, with commas.
fn grouped(number: f64) -> String {
    if number < 10.0 {
        return format!("{number:.1}");
    }
    let step = 10f64.powf(number.log10().floor() - 1.0);
    let digits = format!("{:.0}", (number / step).round() * step);
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn bytes(number: f64) -> String {
    let (unit, name) = match number {
        n if n >= 1e15 => (1e15, "PB"),
        n if n >= 1e12 => (1e12, "TB"),
        _ => (1e9, "GB"),
    };
    format!("{} {name}", grouped(number / unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::measured::MEASURED;

    /// One machine, as `bench-postgres` loads it.
    fn measured_machine() -> Fleet {
        Fleet {
            costs: MACHINE,
            processes: 1,
            cores_per_process: MEASURED.cores,
            database_cores: 1,
            one_machine: true,
            one_account: true,
            load: Arrivals::Clients(MEASURED.clients),
            seconds: 2.0,
        }
    }

    #[test]
    fn the_measured_rate_is_reproduced_within_a_fifth() {
        let found = measured_machine().simulate();
        let ratio = found.per_second / MEASURED.per_second;
        assert!((0.8..=1.2).contains(&ratio), "{found:?} beside {}", MEASURED.per_second);
    }

    #[test]
    fn the_same_fleet_gives_the_same_figures() {
        assert_eq!(measured_machine().simulate(), measured_machine().simulate());
    }

    #[test]
    fn one_account_gains_nothing_from_more_gateways_and_many_do() {
        let most = |processes, one| capacity(processes, one).0.per_second;
        assert!(most(8, true) < most(1, true) * 2.0);
        assert!(most(2, false) > most(1, false) * 1.5);
    }

    #[test]
    fn numbers_have_two_figures_that_count() {
        assert_eq!(
            [2.345, 97.2, 926.0, 92_593.0, 277_778.0].map(grouped),
            ["2.3", "97", "930", "93,000", "280,000"]
        );
        assert_eq!([5e9, 1.5e12, 90e15].map(bytes), ["5.0 GB", "1.5 TB", "90 PB"]);
    }
}
