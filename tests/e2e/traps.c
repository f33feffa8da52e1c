/* What a hostile guest makes a static program load, and a program that falls for it.
 * -DTRAP='"NAME"' -shared: a library that leaves the file /sprung-NAME as soon as it is loaded. Else: the victim, which
 * looks up users and hashes as larder would without its pins (T27). */
#ifdef TRAP
#include <fcntl.h>

__attribute__((constructor)) static void spring(void)
{
	creat("/sprung-" TRAP, 0600);
}
#else
#include <openssl/crypto.h>
#include <pwd.h>
#include <string.h>

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "users") == 0)
		return getpwnam("nobody-of-this-name") != NULL;
	return OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL) != 1;
}
#endif
