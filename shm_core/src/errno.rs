//! Error numbers, with names and messages that are the same with every C library.

use std::fmt;
use std::io;

/// An error number of the kernel, as in `errno(3)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Errno(i32);

/// Defines the error numbers that the calls of this crate return, with glibc's messages. Some
/// messages of musl differ; the output "errno: N msg: ..." must not depend on the C library.
macro_rules! errnos {
    ($($name:ident $message:literal,)*) => {
        impl Errno {
            $(
                #[doc = $message]
                pub const $name: Self = Self(libc::$name);
            )*

            fn entry(self) -> Option<(&'static str, &'static str)> {
                match self.0 {
                    $(libc::$name => Some((stringify!($name), $message)),)*
                    _ => None,
                }
            }
        }
    };
}

errnos! {
    EPERM "Operation not permitted",
    ENOENT "No such file or directory",
    EINTR "Interrupted system call",
    EIO "Input/output error",
    ENXIO "No such device or address",
    EBADF "Bad file descriptor",
    E2BIG "Argument list too long",
    EAGAIN "Resource temporarily unavailable",
    ENOMEM "Cannot allocate memory",
    EACCES "Permission denied",
    EFAULT "Bad address",
    EBUSY "Device or resource busy",
    EEXIST "File exists",
    ENODEV "No such device",
    ENOTDIR "Not a directory",
    EISDIR "Is a directory",
    EINVAL "Invalid argument",
    ENFILE "Too many open files in system",
    EMFILE "Too many open files",
    ENOTTY "Inappropriate ioctl for device",
    ETXTBSY "Text file busy",
    EFBIG "File too large",
    ENOSPC "No space left on device",
    ESPIPE "Illegal seek",
    EROFS "Read-only file system",
    EPIPE "Broken pipe",
    ERANGE "Numerical result out of range",
    ENAMETOOLONG "File name too long",
    ENOSYS "Function not implemented",
    ELOOP "Too many levels of symbolic links",
    EIDRM "Identifier removed",
    ENOMSG "No message of desired type",
    EMSGSIZE "Message too long",
    EOVERFLOW "Value too large for defined data type",
    EOPNOTSUPP "Operation not supported",
    EDQUOT "Disk quota exceeded",
}

impl Errno {
    /// Makes an `Errno` from a number that the kernel returned.
    #[must_use]
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// Returns the symbolic name, such as `ENOENT`, or `None` for an unknown number.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.entry().map(|(name, _)| name)
    }

    /// Returns the error number of an I/O error, or `EIO` if it does not come from the kernel.
    #[must_use]
    pub fn from_io(error: &io::Error) -> Self {
        error.raw_os_error().map_or(Self::EIO, Self)
    }

    /// Returns the calling thread's `errno`.
    pub(crate) fn last() -> Self {
        Self::from_io(&io::Error::last_os_error())
    }
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry() {
            Some((_, message)) => f.write_str(message),
            None => write!(f, "Unknown error {}", self.0),
        }
    }
}

impl std::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::Errno;

    #[test]
    fn messages_equal_the_messages_of_glibc() {
        assert_eq!(Errno::ENOENT.to_string(), "No such file or directory");
        assert_eq!(Errno::ENOMEM.to_string(), "Cannot allocate memory");
        assert_eq!(Errno::from_raw(4095).to_string(), "Unknown error 4095");
        assert_eq!(Errno::EIDRM.name(), Some("EIDRM"));
    }
}
