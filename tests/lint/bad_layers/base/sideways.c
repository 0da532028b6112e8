#include "../shm/segment.h"
