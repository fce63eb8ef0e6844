//! The one place that knows about targets: futures are `Send` on native and free of it on wasm.
//!
//! A browser's promises live on one thread, so a port over them cannot be `Send`; a server's pool
//! wants every future to move between threads. Everything else in the crate names the aliases below.

use std::error::Error as StdError;

#[cfg(not(target_arch = "wasm32"))]
mod target {
    /// `Send` on native targets.
    pub trait MaybeSend: Send {}
    impl<T: Send + ?Sized> MaybeSend for T {}
    /// `Sync` on native targets.
    pub trait MaybeSync: Sync {}
    impl<T: Sync + ?Sized> MaybeSync for T {}
    /// A boxed future that a port returns.
    pub type BoxFuture<'a, T> = futures::future::BoxFuture<'a, T>;
    /// A boxed stream that a port returns.
    pub type BoxStream<'a, T> = futures::stream::BoxStream<'a, T>;
}

#[cfg(target_arch = "wasm32")]
mod target {
    /// Every type on wasm: there is one thread.
    pub trait MaybeSend {}
    impl<T: ?Sized> MaybeSend for T {}
    /// Every type on wasm: there is one thread.
    pub trait MaybeSync {}
    impl<T: ?Sized> MaybeSync for T {}
    /// A boxed future that a port returns.
    pub type BoxFuture<'a, T> = futures::future::LocalBoxFuture<'a, T>;
    /// A boxed stream that a port returns.
    pub type BoxStream<'a, T> = futures::stream::LocalBoxStream<'a, T>;
}

pub use target::{BoxFuture, BoxStream, MaybeSend, MaybeSync};

/// Whatever went wrong below a port.
pub type BoxError = Box<dyn StdError + Send + Sync>;
