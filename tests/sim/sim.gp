# SPDX-License-Identifier: GPL-2.0
# The picture of a simulation. Given: csv, png, name, nodes, settle, seconds.
set terminal pngcairo size 1200, 800 font 'DejaVu Sans,13'
set output png
set datafile separator ','
set encoding utf8
array color[8] = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#7f7f7f', '#332288']

set multiplot layout 2, 1
set lmargin 12
set rmargin 3
set xrange [0:seconds]
set border 3 lc rgb '#555555'
set tics nomirror textcolor rgb '#333333'
set grid lc rgb '#e4e4e4' lt 1
set arrow 1 from settle, graph 0 to settle, graph 1 nohead lc rgb '#999999' dt 3
set format x "%g s"
unset key

# 1: spread, logarithmic
set title sprintf("%s: from the clock furthest behind to the one furthest ahead", name)
set logscale y
set ytics ("10 ns" 0.01, "100 ns" 0.1, "1 µs" 1, "10 µs" 10, "100 µs" 100, "1 ms" 1e3, "10 ms" 1e4, "100 ms" 1e5, "1 s" 1e6, "10 s" 1e7)
plot csv skip 1 using 1:($2 > 0 ? $2 : NaN) with lines lc rgb '#222222'
unset logscale y

# 2: offsets once settled; what is far off leaves the picture
set title "Offset of each clock from their mean"
stats csv skip 1 using ($1 > settle ? $2 : NaN) nooutput
limit = STATS_records ? 1.5 * STATS_up_quartile : 1
set yrange [-limit:limit]
set ytics autofreq
set format y "%g µs"
plot for [i=1:nodes] csv skip 1 using 1:(column(2 + i)) with lines lc rgb color[(i - 1) % 8 + 1]
unset multiplot
