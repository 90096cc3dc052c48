/* Functions of Android's C library that libtensorflowlite_jni.so calls and whose names, constants or structures differ from
   glibc's on x86_64. make.sh forwards all others to glibc; it reads the names in the BIONIC macros below. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stddef.h>

#define BIONIC(type, name, ...) type name(__VA_ARGS__)
/* glibc's function `name`, even if a function of this name is defined here. */
#define GLIBC(type, name, ...) ((type (*)(__VA_ARGS__))from_glibc(name))

typedef void Stream;

extern void *forwarded[];
extern const char *forwarded_names[];

/* dlopen and dlsym are wrapped too, so glibc's functions are bound by their symbol version. */
static void *loader(const char *name) {
  void *found = dlvsym(RTLD_DEFAULT, name, "GLIBC_2.34");
  return found ? found : dlvsym(RTLD_DEFAULT, name, "GLIBC_2.2.5");
}

static void *from_glibc(const char *name) {
  static void *(*find)(void *, const char *);
  static void *c, *m;
  if (!c) {
    find = loader("dlsym");
    void *(*open)(const char *, int) = loader("dlopen");
    m = open("libm.so.6", RTLD_NOW);
    c = open("libc.so.6", RTLD_NOW);
  }
  void *found = find(c, name);
  return found ? found : find(m, name);
}

static void missing(void) { __builtin_trap(); }

__attribute__((constructor)) static void forward(void) {
  for (int i = 0; forwarded_names[i]; i++) {
    void *found = from_glibc(forwarded_names[i]);
    forwarded[i] = found ? found : (void *)missing;
  }
}

/* In Android, stdin, stdout and stderr are an array of structures of 152 bytes. */
char __sF[3][152];
static Stream *stream(Stream *given) {
  static const char *names[] = {"stdin", "stdout", "stderr"};
  for (int i = 0; i < 3; i++)
    if (given == (void *)__sF[i]) return *(Stream **)from_glibc(names[i]);
  return given;
}

BIONIC(int, fclose, Stream *to) { return GLIBC(int, "fclose", Stream *)(stream(to)); }
BIONIC(int, fflush, Stream *to) { return GLIBC(int, "fflush", Stream *)(stream(to)); }
BIONIC(int, fileno, Stream *to) { return GLIBC(int, "fileno", Stream *)(stream(to)); }
BIONIC(int, fputc, int c, Stream *to) { return GLIBC(int, "fputc", int, Stream *)(c, stream(to)); }
BIONIC(size_t, fwrite, const void *from, size_t size, size_t count, Stream *to) {
  return GLIBC(size_t, "fwrite", const void *, size_t, size_t, Stream *)(from, size, count, stream(to));
}
BIONIC(size_t, fread, void *to, size_t size, size_t count, Stream *from) {
  return GLIBC(size_t, "fread", void *, size_t, size_t, Stream *)(to, size, count, stream(from));
}
BIONIC(int, vfprintf, Stream *to, const char *format, va_list values) {
  return GLIBC(int, "vfprintf", Stream *, const char *, va_list)(stream(to), format, values);
}
BIONIC(int, fprintf, Stream *to, const char *format, ...) {
  va_list values;
  va_start(values, format);
  int written = vfprintf(to, format, values);
  va_end(values);
  return written;
}
BIONIC(int, __android_log_vprint, int priority, const char *tag, const char *format, va_list values) {
  fprintf(__sF[2], "[%s] ", tag);
  vfprintf(__sF[2], format, values);
  return fputc('\n', __sF[2]);
}

/* The library's AVX-512 kernels, which no phone runs, assume that malloc aligns to 64 bytes. */
enum { ALIGNED = 64 };
BIONIC(void *, memalign, size_t alignment, size_t size) {
  static void *(*allocate)(size_t, size_t);
  if (!allocate) allocate = from_glibc("memalign");
  return allocate(alignment > ALIGNED ? alignment : ALIGNED, size);
}
BIONIC(int, posix_memalign, void **to, size_t alignment, size_t size) {
  *to = memalign(alignment, size);
  return *to ? 0 : 12; /* ENOMEM */
}
BIONIC(void *, malloc, size_t size) { return memalign(ALIGNED, size); }
BIONIC(void *, calloc, size_t count, size_t size) {
  size_t all;
  if (__builtin_mul_overflow(count, size, &all)) return NULL;
  void *found = memalign(ALIGNED, all);
  return found ? GLIBC(void *, "memset", void *, int, size_t)(found, 0, all) : NULL;
}
BIONIC(void *, realloc, void *from, size_t size) {
  void *to = memalign(ALIGNED, size);
  if (!from || !to) return to;
  size_t old = GLIBC(size_t, "malloc_usable_size", void *)(from);
  GLIBC(void *, "memcpy", void *, const void *, size_t)(to, from, old < size ? old : size);
  GLIBC(void, "free", void *)(from);
  return to;
}

/* Without a library name, Android also searches the calling library; this is how TensorFlow Lite finds the XNNPACK delegate. */
BIONIC(void *, dlsym, void *library, const char *name) {
  if (library == RTLD_DEFAULT) {
    void *own = GLIBC(void *, "dlopen", const char *, int)("libtensorflowlite_jni.so", RTLD_NOW | RTLD_NOLOAD);
    void *found = own ? GLIBC(void *, "dlsym", void *, const char *)(own, name) : NULL;
    if (found) return found;
  }
  return GLIBC(void *, "dlsym", void *, const char *)(library, name);
}

/* Fortified functions, without their checks. */
BIONIC(int, __open_2, const char *path, int flags) { return GLIBC(int, "open", const char *, int, ...)(path, flags); }
BIONIC(long, __read_chk, int file, void *to, size_t count, size_t size) {
  return GLIBC(long, "read", int, void *, size_t)(file, to, count);
}
BIONIC(size_t, __strlen_chk, const char *text, size_t size) { return GLIBC(size_t, "strlen", const char *)(text); }

BIONIC(int *, __errno, void) { return GLIBC(int *, "__errno_location", void)(); }
BIONIC(int, strerror_r, int error, char *to, size_t size) {
  return GLIBC(int, "__xpg_strerror_r", int, char *, size_t)(error, to, size);
}
BIONIC(long, sysconf, int name) {
  /* Android's constant, glibc's constant: page size (twice), processors configured and online, pages total and free. */
  static const int numbers[][2] = {{39, 30}, {40, 30}, {96, 83}, {97, 84}, {98, 85}, {99, 86}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (numbers[i][0] == name) return GLIBC(long, "sysconf", int)(numbers[i][1]);
  return -1;
}
/* The Android version is the only system property that the library reads; XNNPACK is only used from a certain version on. */
BIONIC(int, __system_property_get, const char *name, char *value) {
  value[0] = '3', value[1] = '5', value[2] = 0;
  return 2;
}
BIONIC(void, android_set_abort_message, const char *text) {}
BIONIC(void, __stack_chk_fail, void) { __builtin_trap(); }
/* The library is never unloaded, so its destructors need not run. */
BIONIC(int, __cxa_atexit, void (*call)(void *), void *with, void *of) { return 0; }
BIONIC(void, __cxa_finalize, void *of) {}
