//! Rust's library: collections, threads, panics, files, environment, time.
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque};
use std::fs;
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, Once, RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

fn collections() {
    let mut words: BTreeMap<String, usize> = BTreeMap::new();
    for line in io::stdin().lock().lines() {
        for word in line.expect("text").split_whitespace() {
            *words.entry(word.to_owned()).or_default() += 1;
        }
    }
    println!("{words:?}");
    let hashed: HashMap<_, _> = (0..1000).map(|n| (n, n * n)).collect();
    let set: HashSet<_> = hashed.values().map(|n| n % 97).collect();
    println!("{} {} {}", hashed[&31], set.len(), hashed.values().sum::<i64>());
    let mut heap: BinaryHeap<_> = [3, 1, 4, 1, 5].into();
    let mut queue: VecDeque<_> = VecDeque::new();
    while let Some(top) = heap.pop() {
        queue.push_front(top);
    }
    println!("{queue:?} {:?}", "grüße".to_uppercase());
    println!("{:.3} {:e} {:?} {:>8}|{:<5}|{:#x}", 2.0 / 3.0, 1234.5, f64::NAN, "r", "l", 255);
}

fn threads() {
    let (sender, receiver) = mpsc::channel();
    let total = Arc::new(AtomicU64::new(0));
    let barrier = Arc::new(Barrier::new(4));
    let handles: Vec<_> = (0..4)
        .map(|number| {
            let (sender, total, barrier) = (sender.clone(), total.clone(), barrier.clone());
            thread::spawn(move || {
                barrier.wait();
                total.fetch_add(number, Ordering::SeqCst);
                sender.send(number).expect("somebody listens");
            })
        })
        .collect();
    drop(sender);
    handles.into_iter().for_each(|handle| handle.join().expect("it ends well"));
    let mut got: Vec<_> = receiver.iter().collect();
    got.sort_unstable();
    println!("{got:?} {}", total.load(Ordering::SeqCst));
    let pair = Arc::new((Mutex::new(0), Condvar::new()));
    let other = pair.clone();
    let handle = thread::Builder::new().name("counter".into()).spawn(move || {
        for _ in 0..3 {
            *other.0.lock().expect("nobody panicked") += 1;
            other.1.notify_all();
        }
        thread::current().name().map(str::to_owned)
    });
    let mut count = pair.0.lock().expect("nobody panicked");
    while *count < 3 {
        count = pair.1.wait(count).expect("nobody panicked");
    }
    drop(count);
    println!("{:?}", handle.expect("it begins").join().expect("it ends well"));
    let shared = RwLock::new(vec![1, 2, 3]);
    thread::scope(|scope| {
        scope.spawn(|| shared.write().expect("nobody panicked").push(4));
    });
    static ONCE: Once = Once::new();
    (0..3).for_each(|_| ONCE.call_once(|| println!("once")));
    println!("{:?} {:?}", shared.read(), thread::available_parallelism().is_ok());
}

fn panics() {
    let caught = panic::catch_unwind(|| {
        let list: Vec<i32> = Vec::new();
        list[std::hint::black_box(3)]
    });
    println!("{:?}", caught.expect_err("out of bounds").downcast_ref::<String>());
    let joined = thread::spawn(|| panic!("in a thread")).join();
    println!("{:?}", joined.expect_err("it panicked").downcast_ref::<&str>());
    let poisoned = Mutex::new(1);
    let _ = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        let _held = poisoned.lock();
        panic!("with a lock");
    }));
    println!("poisoned {}", poisoned.is_poisoned());
}

fn files() -> io::Result<()> {
    let folder = std::env::temp_dir().join(format!("library-{}", std::process::id()));
    fs::create_dir_all(folder.join("a/b"))?;
    let path = folder.join("a/file");
    fs::write(&path, "one\ntwo\n")?;
    let mut file = fs::OpenOptions::new().read(true).append(true).open(&path)?;
    file.write_all(b"three\n")?;
    file.seek(SeekFrom::Start(4))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    fs::rename(&path, folder.join("moved"))?;
    fs::copy(folder.join("moved"), folder.join("copy"))?;
    let mut names: Vec<_> = fs::read_dir(&folder)?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()?;
    names.sort();
    let metadata = fs::metadata(folder.join("copy"))?;
    println!("{text:?} {names:?} {} {}", metadata.len(), metadata.is_file());
    println!("{:?}", fs::read("/nowhere/at/all").map_err(|error| error.kind()));
    println!("{}", fs::read_to_string("/proc/self/comm")?.is_empty());
    fs::remove_dir_all(&folder)?;
    println!("{}", folder.exists());
    Ok(())
}

fn main() {
    panic::set_hook(Box::new(|_| {}));
    collections();
    threads();
    panics();
    files().expect("files work");
    let begin = Instant::now();
    thread::sleep(Duration::from_millis(3));
    println!("{}", begin.elapsed() >= Duration::from_millis(3));
    println!("{}", SystemTime::now() > SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000));
    println!("{:?} {:?}", std::env::args().nth(1), std::env::var("NOT_THERE").is_err());
    std::process::exit(5);
}
