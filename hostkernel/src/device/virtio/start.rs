//! How every virtio device begins, and why one cannot be used.

use core::fmt;

use limits::PAGE_LEN;
use virtio_drivers::transport::{DeviceStatus, Transport};

pub const FEATURE_VERSION_1: u64 = 1 << 32;
/// Addresses are those that the platform gives the device, which may not be the memory's own where
/// an IOMMU translates. The device insists on the feature; what it is about is for the platform.
const FEATURE_ACCESS_PLATFORM: u64 = 1 << 33;

/// Why a virtio network card cannot be used.
#[derive(Debug)]
pub enum Error {
    /// It has no modern interface, or one that makes no sense.
    NotModern,
    /// Queues could not be set up.
    Queue(virtio_drivers::Error),
    /// Its interrupt cannot be routed.
    NoInterrupt,
    /// It wants header and frame in separate buffers, as devices before virtio 0.9.5 did.
    TooOld,
    /// It refused the features it offered.
    FeaturesRefused,
    /// There is no memory for its buffers.
    NoMemory,
    /// It stopped as soon as it was to use its queues.
    GaveUp,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotModern => {
                f.write_str("lacks the interface of virtio 1.0, and the legacy one is not enough")
            }
            Self::Queue(error) => write!(f, "cannot set up its queues: {error}"),
            Self::NoInterrupt => f.write_str("cannot route its interrupt"),
            Self::TooOld => f.write_str("offers neither virtio 1 nor any-layout"),
            Self::FeaturesRefused => f.write_str("refused the features it offered"),
            Self::NoMemory => f.write_str("no memory for its buffers"),
            Self::GaveUp => f.write_str("gave up when it was told of its queues"),
        }
    }
}

/// Begins to set a device up (virtio 1.2, 3.1.1). `choose` is told what it offers, may read its
/// structure, and says what is wanted. Returns which of that it has, besides `FEATURE_VERSION_1`,
/// without which a device is an old one.
pub fn start<T: Transport>(
    transport: &mut T,
    choose: impl FnOnce(&T, u64) -> u64,
) -> Result<u64, Error> {
    let starting = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
    transport.set_status(DeviceStatus::empty());
    transport.set_status(starting);
    let offered = transport.read_device_features();
    if offered & FEATURE_VERSION_1 == 0 && !transport.requires_legacy_layout() {
        return Err(Error::TooOld);
    }
    let always = FEATURE_VERSION_1 | FEATURE_ACCESS_PLATFORM;
    let features = offered & (choose(transport, offered) | always);
    transport.write_driver_features(features);
    if features & FEATURE_VERSION_1 != 0 {
        transport.set_status(starting | DeviceStatus::FEATURES_OK);
        if !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
            return Err(Error::FeaturesRefused);
        }
    }
    transport.set_guest_page_size(PAGE_LEN as u32);
    Ok(features)
}
