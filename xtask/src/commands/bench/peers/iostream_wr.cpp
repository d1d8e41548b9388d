// A writer of shared memory as C++ programs are usually written: iostream, linked dynamically.
#include <sys/shm.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <string>

static bool put(const std::string &text) {
    const int id = shmget(20231125, 1024, IPC_CREAT | 0666);
    if (id < 0) {
        std::cerr << "shmget failed, errno: " << errno << " msg: " << strerror(errno) << std::endl;
        return false;
    }
    void *const memory = shmat(id, nullptr, 0);
    if (memory == reinterpret_cast<void *>(-1)) {
        std::cerr << "shmat failed, errno: " << errno << " msg: " << strerror(errno) << std::endl;
        return false;
    }
    const std::string cut = text.substr(0, 1023);
    std::memcpy(memory, cut.c_str(), cut.size() + 1);
    return true;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        std::cerr << "a text to write is needed" << std::endl;
        return 1;
    }
    const bool written = put(argv[1]);
    std::cout << (written ? "shm write success" : "shm write failed") << std::endl;
    return written ? 0 : 1;
}
