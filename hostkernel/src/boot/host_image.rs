//! The image that hosts what is not native: bytes that the build linked into the kernel, if it was
//! given any.

use alloc::sync::Arc;

use memory::{PageBuffer, Template};
use node::image::elf;

static BYTES: Option<&[u8]> = include!(concat!(env!("OUT_DIR"), "/host_image.rs"));

/// Makes the image's template. Without one only native images are accepted.
#[must_use]
pub fn template() -> Option<Arc<Template>> {
    let bytes = BYTES?;
    let plan = match elf::plan(bytes) {
        Ok(plan) if plan.is_host => plan,
        Ok(_) => {
            log::error!("the image that the kernel was built with hosts nothing");
            return None;
        }
        Err(reject) => {
            log::error!("the image that the kernel was built with: {reject}");
            return None;
        }
    };
    let template =
        PageBuffer::from_bytes(bytes).and_then(|code| Template::build(&plan, code)).ok()?;
    log::info!("host image: {} pages", template.frames());
    Some(Arc::new(template))
}
