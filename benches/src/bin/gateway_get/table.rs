//! What was measured, as a table.

use anyetcd_benches::{median, range};

use crate::Measured;
use crate::contender::Contender;

/// Prints medians, how far the rounds lie apart, and ratios.
pub(crate) fn print(in_flight: usize, contenders: &[Contender], measured: &[Vec<Measured>]) {
    let speed = |index: usize| median(measured[index].iter().map(|round| round.gets_per_second));
    let cpu = |index: usize| median(measured[index].iter().map(|round| round.cpu_per_get));
    let place = |wanted: Contender| contenders.iter().position(|contender| *contender == wanted);

    println!("\n{in_flight} in flight");
    println!(
        "{:<24} {:>8} {:>17} {:>7} {:>11} {:>9}",
        "", "gets/s", "(min to max)", "of wrk", "CPU us/get", "of hyper"
    );
    for (index, contender) in contenders.iter().enumerate() {
        let rounds = measured[index].iter().map(|round| round.gets_per_second);
        let (min, max) = range(rounds);
        let of_wrk = place(Contender::Wrk).map_or(f64::NAN, |wrk| speed(index) / speed(wrk));
        let of_hyper = place(contender.baseline()).map_or(f64::NAN, |hyper| cpu(index) / cpu(hyper));
        println!(
            "{:<24} {:>8.0} {:>17} {of_wrk:>7.2} {:>11.1} {of_hyper:>9.2}",
            contender.name(),
            speed(index),
            format!("({min:.0} to {max:.0})"),
            cpu(index),
        );
    }
}
