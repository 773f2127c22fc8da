// The headers that all tests share are precompiled with this unit; see CMakeLists.txt.
