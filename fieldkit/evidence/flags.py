"""What is doubtful about a piece of evidence, as short codes that stay, with their words in Chinese and English."""

from __future__ import annotations

#: Every flag with what it says.
FLAGS: dict[str, tuple[str, str]] = {
    "unreadable_picture": (
        "图片无法解码，仅作为文件保存",
        "the picture cannot be decoded; it is kept as a file",
    ),
    "no_decoder": ("本软件不能显示此格式的图片", "this kit cannot show pictures of this kind"),
    "too_many_pixels": ("像素过多，未解码", "too many pixels; it was not decoded"),
    "too_large_to_decode": ("图片文件过大，未解码", "too large a picture; it was not decoded"),
    "exif_damaged": ("照片信息（EXIF）已损坏", "the camera's notes (EXIF) are damaged"),
    "trailing_data": ("图片之后还有其他数据", "other data follow the picture in the file"),
    "more_pictures": (
        "文件中不止一幅图，只显示第一幅",
        "the file holds more than one picture; the first is shown",
    ),
    "type_differs_from_name": ("内容与文件名的类型不符", "the content is not what the file's name says"),
    "unknown_type": ("无法识别文件类型", "the type of the file is not known"),
    "no_time": ("没有拍摄时间", "no time of taking"),
    "time_of_change": ("只有文件修改时间", "the time is that of a later change"),
    "time_implausible": ("拍摄时间不可信", "the time of taking is not plausible"),
    "zone_assumed": ("相机未记时区，按本单位时区", "the camera names no time zone; the office's is assumed"),
    "clock_differs_from_gps": (
        "相机时钟与卫星时间不符",
        "the camera's clock differs from the satellites' time",
    ),
    "no_position": ("没有拍摄位置", "no position"),
    "position_doubtful": ("拍摄位置存疑", "the position is doubtful"),
    "position_impossible": ("拍摄位置无效，未采用", "the position is none and is not used"),
    "position_swapped": ("经纬度似乎颠倒，未采用", "longitude and latitude seem swapped; not used"),
    "position_zero": ("拍摄位置为零点，未采用", "the position is 0, 0 and is not used"),
    "datum_missing": ("未注明坐标系，按 WGS-84", "no datum is named; WGS-84 is assumed"),
    "datum_not_wgs84": ("坐标系不是 WGS-84", "the datum is not WGS-84"),
}


def flag_words(code: str, language: str = "en") -> str:
    """What the flag *code* says in *language* (``en`` or ``zh``); an unknown code says itself."""
    return FLAGS.get(code, (code, code))[0 if language == "zh" else 1]
