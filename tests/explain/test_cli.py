"""The command line: what it prints, what it writes, and one line for bad usage."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from jaxconv.explain import cli
from jaxconv.explain.cli import main

CONV = ("conv", "--input", "5x5", "--kernel", "3x3", "--padding", "1")


def test_an_element(capsys):
    main([*CONV, "--of", "dx[0,1]"])
    assert capsys.readouterr().out == (
        "dx[0,1] = dy[0,0]·w[1,2] + dy[0,1]·w[1,1] + dy[0,2]·w[1,0]"
        " + dy[1,0]·w[0,2] + dy[1,1]·w[0,1] + dy[1,2]·w[0,0]\n"
    )
    main([*CONV, "--of", "dX[1,1]", "--one-based", "--names", "X,W,Z", "--latex"])
    assert capsys.readouterr().out == (
        r"dX_{11} = dZ_{11} \cdot W_{22} + dZ_{12} \cdot W_{21} + dZ_{21} \cdot W_{12}"
        r" + dZ_{22} \cdot W_{11}" + "\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("conv --input 3 --kernel 2 --padding 0", "dx[0] = dy[0]·w[0]"),
        ("conv --input 3 --kernel 2 --padding=-1:2", "dx[0] = 0 (no window covers it)"),
        ("conv --input 3x3 --kernel 1x2 --padding 0x1 --of y[0,0]", "y[0,0] = x[0,0]·w[0,1]"),
        ("conv --input 3x3 --kernel 1 --padding 0:0x1:0 --of y[0,1]", "y[0,1] = x[0,0]·w[0,0]"),
        ("conv --input 3 --kernel 2 --padding causal --of y[0]", "y[0] = x[0]·w[1]"),
        ("conv --input 3 --kernel 2 --flip-kernel --padding VALID", "dx[0] = dy[0]·w[1]"),
        ("avg_pool --input 2 --window 2 --padding 1 --stride 1 --no-count-include-pad",
         "dx[0] = dy[0] + 1/2·dy[1]"),
        ("softmax_cross_entropy --classes 1", "dlogits[0] = dloss·(p[0]·labels[0] − labels[0])"),
    ],
)  # fmt: skip
def test_arguments_of_ops(arguments, said, capsys):
    main(arguments.split())
    assert capsys.readouterr().out.splitlines()[0].replace("1/1·", "") == said


def test_all_elements(capsys):
    main(["conv", "--input", "3", "--kernel", "2", "--padding", "0", "--all"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" = ")[0] for line in lines] == [
        "y[0]", "y[1]", "dx[0]", "dx[1]", "dx[2]", "dw[0]", "dw[1]", "db",
    ]  # fmt: skip
    main(["conv", "--input", "3", "--kernel", "2", "--padding", "0", "--all", "--of", "dw"])
    assert capsys.readouterr().out.splitlines() == lines[5:7]


def test_numbers(capsys):
    pool = ["max_pool", "--input", "2x2", "--window", "2", "--numbers", "x=1 5; 3 0"]
    main([*pool, "--all", "--of", "dx"])
    assert capsys.readouterr().out.splitlines()[:2] == [
        "dx[0,0] = 0 (it is the maximum of no window)",
        "dx[0,1] = dy[0,0]",
    ]
    main([*pool, "--of", "dx[0,1]", "--numbers", "dy=7"])
    assert capsys.readouterr().out == "dx[0,1] = dy[0,0] = 7 = 7\n"
    main([*pool, "--of", "y[0,0]"])
    assert capsys.readouterr().out.endswith(" = max(1, 5, 3, 0) = 5\n")


def test_as_convolution(capsys):
    main([*CONV, "--as-convolution", "--of", "dx[1,1]", "--names", "X,W,Z"])
    out = capsys.readouterr().out
    assert out.startswith("dX = correlation of dZ, padded by (1, 1), with W turned by 180°\n")
    main([*CONV, "--as-convolution"])
    assert capsys.readouterr().out.count("correlation of") == 3


def test_a_picture(tmp_path, capsys):
    file = tmp_path / "picture.svg"
    main([*CONV, "--of", "dx[1,1]", "--svg", str(file)])
    assert capsys.readouterr().out.startswith("dx[1,1] = ")
    assert ElementTree.parse(file).getroot().tag.endswith("svg")


def test_the_page(tmp_path, capsys, monkeypatch):
    shown = []
    monkeypatch.setattr(cli, "page", lambda explained: f"<p>{explained.left}</p>")
    monkeypatch.setattr(cli.webbrowser, "open", lambda address: shown.append(address) or True)
    main([*CONV, "--html", str(tmp_path / "page.html"), "--open"])
    assert (tmp_path / "page.html").read_text() == "<p>dx[0,0]</p>"
    assert shown == [(tmp_path / "page.html").as_uri()]
    monkeypatch.setattr(cli.webbrowser, "open", lambda address: False)
    main([*CONV, "--open"])
    said = capsys.readouterr().out
    path = re.search(r"no browser was found; the page is (.*)", said)[1]
    assert Path(path).read_text() == "<p>dx[0,0]</p>"


def test_whoever_reads_may_stop():
    command = f"{sys.executable} -m jaxconv.explain conv --input 60x60 --kernel 3 --all | head -1"
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("y[0,0] = ")
    assert ran.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("conv --input 5x5 --kernel 0x3", "conv: kernel[0] must be at least 1, but got 0"),
        ("conv --input 5x5 --kernel axb", "argument --kernel: must be whole numbers with x"),
        ("conv --input 5x5 --kernel 3 --padding=-3", "conv: the window spans 3 positions"),
        ("conv --input 5x5 --kernel 3 --padding 1:x", "argument --padding: must be a name, numb"),
        ("conv --input 5x5 --kernel 3 --of dq[1]", "conv: of must be an element of y, dx, dw, db"),
        ("conv --input 5x5 --kernel 3 --of dx[5,0]", "conv: dx has shape (1, 5, 5, 1), so its ind"),
        ("conv --input 1000x1000 --kernel 3 --all", "at most 100,000 elements can be written out"),
        ("conv --input 9999999 --kernel 3", "at most 1,000,000 products of spatial dimension 0"),
        ("conv --kernel 3", "conv: the argument input is missing"),
        ("conv --input 5 --kernel 3 --window 3", "conv: the arguments are input, kernel, stride"),
        ("conv --input 5 --kernel 3 --numbers x", "argument --numbers: must be a name and numbers"),
        ("conv --input 5 --kernel 3 --numbers x=1;2,3", "argument --numbers: must be a name and"),
        ("conv --input 5 --kernel 3 --numbers x=1", "conv: x must have shape (1, 5, 1)"),
        ("conv --input 5 --kernel 3 --all --open", "--svg, --html and --open show one element"),
        ("conv --input 5 --kernel 3 --svg /no/such/file", "argument --svg: there is no folder"),
        ("conv --input 100x100 --kernel 3 --svg x.svg", "a picture may have 4,000 cells"),
        ("dense --inputs 5 --outputs 3 --html x.html", "the page shows layers with windows"),
        ("maxpool --input 5", "op must be one of conv, conv_transpose, dense"),
        ("conv --input 5 --kernel 3 --colour red", "unrecognized arguments: --colour red"),
        ("", "the following arguments are required: op"),
    ],
)
def test_bad_usage_is_one_line_and_exit_status_2(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(arguments.split())
    captured = capsys.readouterr()
    assert stopped.value.code == 2
    assert captured.out == ""
    assert captured.err.startswith(f"explain: {said}")
    assert captured.err.count("\n") == 1


def test_the_module_runs():
    command = [sys.executable, "-m", "jaxconv.explain", *CONV, "--of", "dw[0,0]"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("dw[0,0] = dy[1,1]·x[0,0] + ")
