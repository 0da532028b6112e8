int   untidy( void ){return 0 ;}
