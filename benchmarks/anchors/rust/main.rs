//! The thread pool of the Rust book: std::sync::mpsc, its receiver behind a mutex, boxed closures.
//! See ../README.md for the protocol.

use std::io::BufRead;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use std::time::Instant;

type Job = Box<dyn FnOnce() + Send + 'static>;

fn noop(_: i64) -> i64 {
    0
}

fn price(quantity: i64) -> i64 {
    quantity * 3 + 7
}

fn spin(turns: i64) -> i64 {
    let mut x: i64 = 1;
    for _ in 0..turns {
        x = (x * 1103515245 + 12345) % 2147483648;
    }
    x
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let workload = arguments[1].as_str();
    let turns: i64 = arguments[2].parse().unwrap();
    let workers: usize = arguments[3].parse().unwrap();
    let run: fn(i64) -> i64 = match workload {
        "noop" => noop,
        "price" => price,
        "spin" => spin,
        _ => panic!("no such workload: {workload}"),
    };

    let (sender, receiver) = mpsc::channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..workers {
        let receiver = Arc::clone(&receiver);
        thread::spawn(move || loop {
            let job = receiver.lock().unwrap().recv();
            match job {
                Ok(job) => job(),
                Err(_) => break,
            }
        });
    }

    for line in std::io::stdin().lock().lines() {
        let n: usize = line.unwrap().trim().parse().unwrap();
        let start = Instant::now();
        let waiter = thread::current();
        let left = Arc::new(AtomicUsize::new(n));
        let mut results: Vec<Arc<AtomicI64>> = Vec::with_capacity(n);
        for i in 0..n {
            let arg = if workload == "price" { i as i64 } else { turns };
            let slot = Arc::new(AtomicI64::new(0));
            results.push(Arc::clone(&slot));
            let (left, waiter) = (Arc::clone(&left), waiter.clone());
            sender
                .send(Box::new(move || {
                    slot.store(run(arg), Ordering::Relaxed);
                    if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                        waiter.unpark();
                    }
                }))
                .unwrap();
        }
        while left.load(Ordering::Acquire) > 0 {
            thread::park();
        }
        let sum = results.iter().fold(0i64, |sum, slot| sum.wrapping_add(slot.load(Ordering::Relaxed)));
        println!("{} {}", start.elapsed().as_secs_f64(), sum);
    }
}
