# How an archive and a program are made; read behind cmake's own rules for Clang, whose place these take.
set(CMAKE_CXX_STANDARD_LIBRARIES_INIT "")
set(CMAKE_CXX_ARCHIVE_CREATE "<CMAKE_AR> ar qc <TARGET> <OBJECTS>")
set(CMAKE_CXX_ARCHIVE_FINISH "<CMAKE_AR> ranlib <TARGET>")
string(CONCAT CMAKE_CXX_LINK_EXECUTABLE
  "${ZIG} lld-link -lldmingw -nologo -entry:mainCRTStartup -subsystem:console -out:<TARGET>"
  " -alternatename:__image_base__=__ImageBase -libpath:${TOOLCHAIN}/lib"
  " ${TOOLCHAIN}/lib/crt2.o ${TOOLCHAIN}/lib/crtbegin.o <OBJECTS> <LINK_LIBRARIES>"
  " libstdc++.a libmingw32.a libgcc.a libgcc_eh.a libmoldname.a libmingwex.a libmsvcrt.a"
  " libadvapi32.a libshell32.a libuser32.a libkernel32.a ${TOOLCHAIN}/lib/crtend.o")
