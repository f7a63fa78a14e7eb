/* float.h - what the library reads of it, for CBMC */
#define FLT_MAX 3.40282347e+38f
