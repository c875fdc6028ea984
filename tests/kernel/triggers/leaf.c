/* leaf [STATUS...]: exits with the status; it is what the others start. */
#include <stdlib.h>

int main(int argc, char **argv)
{
	return argc > 1 ? atoi(argv[1]) : 0;
}
