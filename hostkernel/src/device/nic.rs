//! What a network card is to the network stack.

/// Receives frames.
pub trait Receiver {
    /// The oldest frame that waits, the same one until [`release`](Self::release).
    fn frame(&mut self) -> Option<&[u8]>;

    /// Gives the buffer of that frame back to the card.
    fn release(&mut self);
}

/// Sends frames.
pub trait Sender {
    /// Whether there is a free buffer.
    fn is_ready(&mut self) -> bool;

    /// Lets `fill` write a frame of `len` bytes and queues it. Does nothing when no buffer is free
    /// or the frame is longer than the card takes.
    fn send(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8]));
}

/// A network card.
pub trait Nic {
    /// Its hardware address.
    fn address(&self) -> [u8; 6];

    /// Largest frame, Ethernet header included, without checksum.
    fn frame_len_max(&self) -> usize;

    /// Both directions, to be used at the same time.
    fn split(&mut self) -> (&mut dyn Receiver, &mut dyn Sender);

    /// Tells the card about everything queued since the last call.
    fn flush(&mut self);

    /// Switches receive interrupts on. Returns false, leaving them off, if a frame arrived
    /// meanwhile.
    fn arm(&mut self) -> bool;

    /// Switches receive interrupts off and acknowledges one that arrived.
    fn disarm(&mut self);
}
