"""The JSON bodies that the API takes."""

from pydantic import BaseModel, Field

from query_api.dependencies import MAX_TEXT, ImgPath, QueryText


class OnePath(BaseModel):
    """An image by its path."""

    img_path: ImgPath = Field(examples=["library/demo/giraffe.jpg"])


class TwoPaths(BaseModel):
    """Two images by their paths: the first gives the size and the left half."""

    img_path_1: ImgPath = Field(examples=["library/demo/giraffe.jpg"])
    img_path_2: ImgPath = Field(examples=["library/demo/zebra.png"])


class TextQuery(BaseModel):
    """Words to search by."""

    text_query: QueryText = Field(description=f"Up to {MAX_TEXT} characters.", examples=["a red bicycle"])
