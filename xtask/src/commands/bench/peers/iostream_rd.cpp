// A reader of shared memory as C++ programs are usually written: iostream, linked dynamically.
#include <sys/shm.h>

#include <cerrno>
#include <cstring>
#include <iostream>

static bool show() {
    const int id = shmget(20231125, 1024, 0666);
    if (id < 0) {
        std::cerr << "shmget failed, errno: " << errno << " msg: " << strerror(errno) << std::endl;
        return false;
    }
    const void *const memory = shmat(id, nullptr, 0);
    if (memory == reinterpret_cast<void *>(-1)) {
        std::cerr << "shmat failed, errno: " << errno << " msg: " << strerror(errno) << std::endl;
        return false;
    }
    const char *text = static_cast<const char *>(memory);
    for (int i = 0; i < 1023 && text[i] != '\0'; i++) std::cout << text[i] << " ";
    std::cout << std::endl;
    return true;
}

int main() {
    const bool shown = show();
    std::cout << (shown ? "shm read success" : "shm read failed") << std::endl;
    return shown ? 0 : 1;
}
